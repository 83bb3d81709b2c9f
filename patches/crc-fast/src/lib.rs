//! The part of the crate `crc-fast` that `object_store` is compiled against: CRC-64/NVME, which S3 can check uploads by.
//!
//! `crc-fast` itself knows a hundred checksums, each with tables of its own, and chooses among them at run time, so that no linker
//! can leave any out: 0.6 MB of each zipped function, for what is not even switched on.

use crc::{CRC_64_NVME, Crc, NoTable};

static NVME: Crc<u64, NoTable> = Crc::<u64, NoTable>::new(&CRC_64_NVME);

/// A checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CrcAlgorithm {
    /// CRC-64/NVME.
    Crc64Nvme,
}

/// The checksum of what was seen so far.
pub struct Digest(crc::Digest<'static, u64, NoTable>);

impl Digest {
    /// That of nothing yet.
    pub fn new(algorithm: CrcAlgorithm) -> Self {
        match algorithm {
            CrcAlgorithm::Crc64Nvme => Self(NVME.digest()),
        }
    }

    /// Takes in what comes next.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The checksum of all of it.
    pub fn finalize(self) -> u64 {
        self.0.finalize()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_checksum_of_the_catalogue() {
        let mut digest = Digest::new(CrcAlgorithm::Crc64Nvme);
        digest.update(b"1234");
        digest.update(b"56789");
        // The check value of CRC-64/NVME in the catalogue of parametrised CRC algorithms.
        assert_eq!(digest.finalize(), 0xae8b_1486_0a79_9888);
    }
}
