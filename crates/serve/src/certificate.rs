//! A certificate authority of this checkout's own, which an iPad has to trust once, and certificates signed by it.
//!
//! Whoever has its key can pretend to be the hosts it may sign for, to the devices that trust it. So it may sign for names
//! and addresses of local networks only, its key never leaves the folder, and only this user can read it.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CidrSubnet, DnType, ExtendedKeyUsagePurpose,
    GeneralSubtree, IsCa, Issuer, KeyPair, KeyUsagePurpose, NameConstraints,
    PKCS_ECDSA_P256_SHA256,
};
use sha2::{Digest as _, Sha256};
use time::{Duration, OffsetDateTime};

use crate::network::is_local;

/// Files of the authority.
const CERTIFICATE_FILE: &str = "ca.der";
const KEY_FILE: &str = "ca-key.pem";
/// What the iPad's settings show.
const NAME: &str = "Tern development (this computer)";
const AUTHORITY_DAYS: i64 = 10 * 365;
/// Apple's systems refuse certificates that are valid for more than 825 days; browsers are stricter still.
const SERVER_DAYS: i64 = 90;

/// The authority.
#[derive(Debug)]
pub struct Authority {
    certificate: Vec<u8>,
    key: KeyPair,
}

/// A server's certificate chain and key, as DER.
#[derive(Debug)]
pub struct ServerCertificate {
    /// The server's certificate, then the authority's.
    pub chain: Vec<Vec<u8>>,
    /// Its key, as PKCS#8.
    pub key: Vec<u8>,
}

impl Authority {
    /// The authority that is kept in `folder`, or a new one.
    ///
    /// # Errors
    /// The folder can't be read or written, or holds something else.
    pub fn load_or_create(folder: &Path) -> Result<Self> {
        let (certificate_file, key_file) = (folder.join(CERTIFICATE_FILE), folder.join(KEY_FILE));
        if certificate_file.is_file() && key_file.is_file() {
            let pem = fs::read_to_string(&key_file)
                .with_context(|| format!("cannot read {}", key_file.display()))?;
            let key = KeyPair::from_pem(&pem).with_context(|| {
                format!(
                    "no key; delete the folder to start anew: {}",
                    folder.display()
                )
            })?;
            let certificate = fs::read(&certificate_file)
                .with_context(|| format!("cannot read {}", certificate_file.display()))?;
            return Ok(Self { certificate, key });
        }
        fs::create_dir_all(folder)
            .with_context(|| format!("cannot create {}", folder.display()))?;
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let certificate = authority_params()?.self_signed(&key)?.der().to_vec();
        // The key first: a certificate without its key would be trusted by devices and good for nothing.
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&key_file)
            .with_context(|| format!("cannot write {}", key_file.display()))?;
        file.write_all(key.serialize_pem().as_bytes())?;
        fs::write(&certificate_file, &certificate)
            .with_context(|| format!("cannot write {}", certificate_file.display()))?;
        Ok(Self { certificate, key })
    }

    /// The certificate that devices have to trust, as DER.
    #[must_use]
    pub fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    /// Its SHA-256 in groups of two digits, as the iPad's settings show it.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let groups: Vec<String> = Sha256::digest(&self.certificate)
            .iter()
            .map(|byte| format!("{byte:02X}"))
            .collect();
        groups.join(" ")
    }

    /// A certificate for a server with these names and addresses. It is made anew at each start.
    ///
    /// # Errors
    /// A name is no host name, or not one that the authority may sign for.
    pub fn issue(&self, names: &[String]) -> Result<ServerCertificate> {
        for name in names {
            let allowed = name.parse::<IpAddr>().map_or_else(
                |_| name == "localhost" || name.ends_with(".local"),
                is_local,
            );
            anyhow::ensure!(
                allowed,
                "the certificate is for local networks only: expected a name that ends with .local or a private address, got {name}"
            );
        }
        let mut params = CertificateParams::new(names)?;
        params.distinguished_name = distinguished_name("Tern");
        (params.not_before, params.not_after) = validity(SERVER_DAYS);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let issuer = Issuer::new(authority_params()?, &self.key);
        let certificate: Certificate = params.signed_by(&key, &issuer)?;
        Ok(ServerCertificate {
            chain: vec![certificate.der().to_vec(), self.certificate.clone()],
            key: key.serialize_der(),
        })
    }
}

/// What the authority's certificate says. Name and key identify it, so this is also what its signatures refer to.
fn authority_params() -> Result<CertificateParams> {
    let mut params = CertificateParams::default();
    params.distinguished_name = distinguished_name(NAME);
    (params.not_before, params.not_after) = validity(AUTHORITY_DAYS);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let subnet = |address: &str, prefix| -> Result<GeneralSubtree> {
        let address: IpAddr = address.parse()?;
        Ok(GeneralSubtree::IpAddress(CidrSubnet::from_addr_prefix(
            address, prefix,
        )))
    };
    params.name_constraints = Some(NameConstraints {
        permitted_subtrees: vec![
            GeneralSubtree::DnsName("local".to_owned()),
            GeneralSubtree::DnsName("localhost".to_owned()),
            subnet("127.0.0.0", 8)?,
            subnet("10.0.0.0", 8)?,
            subnet("172.16.0.0", 12)?,
            subnet("192.168.0.0", 16)?,
            subnet("169.254.0.0", 16)?,
            subnet("::1", 128)?,
            subnet("fc00::", 7)?,
            subnet("fe80::", 10)?,
        ],
        excluded_subtrees: Vec::new(),
    });
    Ok(params)
}

fn distinguished_name(name: &str) -> rcgen::DistinguishedName {
    let mut distinguished = rcgen::DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

/// From a day ago, since clocks differ, for `days`.
fn validity(days: i64) -> (OffsetDateTime, OffsetDateTime) {
    let now = OffsetDateTime::now_utc();
    (now - Duration::days(1), now + Duration::days(days))
}
