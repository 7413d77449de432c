//! The processor that the functions are built for.

use std::fmt;
use std::str::FromStr;

/// Instruction set of a function (Lambda, `Architectures`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Architecture {
    /// Intel and AMD.
    #[default]
    X86_64,
    /// Graviton.
    Arm64,
}

impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::X86_64 => "x86_64",
            Self::Arm64 => "arm64",
        })
    }
}

impl FromStr for Architecture {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "x86_64" => Ok(Self::X86_64),
            "arm64" => Ok(Self::Arm64),
            other => Err(format!("`{other}` is no architecture of Lambda: write x86_64 or arm64")),
        }
    }
}
