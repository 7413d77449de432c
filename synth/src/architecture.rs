//! The processor that the functions are built for.

use std::fmt;

use clap::ValueEnum;

/// Instruction set of the functions (Lambda, `Architectures`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Architecture {
    /// Intel and AMD
    #[default]
    #[value(name = "x86_64")]
    X86_64,
    /// Graviton
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
