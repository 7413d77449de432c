//! Reads the requirements of an executable from its ELF file.

use anyhow::{Context, Result};
use object::Endianness;
use object::read::elf::ElfFile64;

/// glibc version of the `provided.al2023` runtime.
pub const GLIBC_MAX: (u32, u32) = (2, 34);

/// The newest `GLIBC_` symbol version that the executable needs; `None` if it needs none.
pub fn newest_glibc(data: &[u8]) -> Result<Option<(u32, u32)>> {
    let file = ElfFile64::<Endianness>::parse(data).context("not a 64-bit ELF executable")?;
    let (endian, sections) = (file.endian(), file.elf_section_table());
    let Some((mut needs, link)) = sections.gnu_verneed(endian, data)? else { return Ok(None) };
    let strings = sections.strings(endian, data, link)?;
    let mut newest = None;
    while let Some((_, mut versions)) = needs.next()? {
        while let Some(version) = versions.next()? {
            newest = newest.max(glibc_version(version.name(endian, strings)?));
        }
    }
    Ok(newest)
}

fn glibc_version(name: &[u8]) -> Option<(u32, u32)> {
    let text = std::str::from_utf8(name).ok()?.strip_prefix("GLIBC_")?;
    let mut parts = text.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_as_numbers() {
        assert!(glibc_version(b"GLIBC_2.4") < glibc_version(b"GLIBC_2.34"));
        assert_eq!(glibc_version(b"GLIBC_2.2.5"), Some((2, 2)));
        assert_eq!(glibc_version(b"GLIBC_PRIVATE"), None);
        assert_eq!(glibc_version(b"GCC_3.0"), None);
    }

    #[test]
    fn our_own_executable_needs_some_glibc() {
        let data = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        assert!(newest_glibc(&data).unwrap().is_some());
    }

    #[test]
    fn a_text_is_not_an_executable() {
        assert!(newest_glibc(b"hello").is_err());
    }
}
