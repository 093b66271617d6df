//! A stored model is read again, file by file, and what has gone bad is got again.

use model::Manifest;
use model::manifest::{FileHash, MANIFEST_FILE};
use protocol::{
    ByteCount, Fault, FaultCode, LoadStage, Outcome, RequestId, VerifyReport, is_of_files,
};

use crate::chosen;
use crate::fetching::Trying;
use crate::load::{self, Package};
use crate::progress::Meter;
use crate::race::Ahead;
use crate::reading::Source;
use crate::runtime::Runtime;
use crate::store::{Shelf, distinct_files, sum};
use crate::{Blob as _, Engine, Host, TextLoader};

/// Files that are on their way out of the store at a time: while one is read another one is hashed.
const FILES_AHEAD: usize = 2;

/// What became of the manifest, without which nothing else can be compared.
enum Described {
    Right(Package),
    Repaired(Package),
    Broken(Fault),
}

impl<H: Host, E: Engine, T: TextLoader> Runtime<H, E, T> {
    /// Compares every stored file of a model with its hash, and gets those again that are wrong.
    pub(crate) async fn verify_model(
        &self,
        id: RequestId,
        model_url: &str,
    ) -> Result<Outcome, Fault> {
        let key = load::key(model_url);
        let missing = || Fault::new(FaultCode::NotFound, format!("{key} is not stored"));
        let opened = Shelf::open(&self.host, &self.policy).await?;
        let shelf = opened.map_err(|_| missing())?;
        let sha256 = shelf.manifest_sha256(&key).await?.ok_or_else(missing)?;
        let mut meter = Meter::new(&self.host, id, self.policy.progress_millis);
        let (package, is_repaired) = match self.described(&shelf, &key, &sha256, &mut meter).await?
        {
            Described::Right(package) => (package, false),
            Described::Repaired(package) => (package, true),
            Described::Broken(fault) => {
                return Ok(Outcome::Verified(VerifyReport {
                    files: 1,
                    bytes: ByteCount::default(),
                    repaired: Vec::new(),
                    broken: vec![MANIFEST_FILE.to_owned()],
                    fault: Some(fault),
                }));
            }
        };
        let files: Vec<&FileHash> = distinct_files(&package.manifest).collect();
        let wrong = wrong(&shelf, &key, &files, &mut meter).await?;
        let mut report = self.mended(&shelf, &key, wrong).await;
        if is_repaired {
            report.repaired.insert(0, MANIFEST_FILE.to_owned());
        }
        // The manifest is one of them.
        report.files = u32::try_from(files.len() + 1).unwrap_or(u32::MAX);
        report.bytes = ByteCount::saturating(sum(files.iter().map(|file| file.bytes)));
        Ok(Outcome::Verified(report))
    }

    /// The manifest from the store, or from where it came.
    async fn described(
        &self,
        shelf: &Shelf<'_, H>,
        key: &str,
        sha256: &str,
        meter: &mut Meter<'_, H>,
    ) -> Result<Described, Fault> {
        if let Some((_, bytes)) = shelf.manifest_file(key).await? {
            let manifest = Manifest::from_json(&bytes.to_vec())
                .map_err(|error| Fault::new(FaultCode::BadModel, error.to_string()))?;
            return Ok(Described::Right(Package {
                base_url: key.to_owned(),
                manifest,
            }));
        }
        if is_of_files(key) {
            return Ok(Described::Broken(chosen::gone()));
        }
        let got = match load::foreign(key) {
            Some(place) => self.read_foreign(Some(shelf), &place, meter).await,
            None => self.same_manifest(shelf, key, sha256).await,
        };
        Ok(got.map_or_else(Described::Broken, Described::Repaired))
    }

    /// Fetches the manifest of a package, if it is still the one whose files are stored.
    async fn same_manifest(
        &self,
        shelf: &Shelf<'_, H>,
        key: &str,
        sha256: &str,
    ) -> Result<Package, Fault> {
        let (host, policy) = (&self.host, &self.policy);
        let (package, bytes) = load::manifest(host, policy, &self.inbox, key.to_owned()).await?;
        if host.sha256(&bytes).await.as_deref() != Ok(sha256) {
            let detail = format!(
                "{MANIFEST_FILE} is lost in the store, and its server has another version by now: download the model again"
            );
            return Err(Fault::new(FaultCode::Corrupt, detail));
        }
        shelf.put_package(&package, &bytes).await?;
        Ok(package)
    }

    /// Gets files again. When one can't be had, the others are not asked for: a person waits, and would for each of them.
    async fn mended(
        &self,
        shelf: &Shelf<'_, H>,
        base_url: &str,
        wrong: Vec<&FileHash>,
    ) -> VerifyReport {
        let source = Source {
            host: &self.host,
            policy: &self.policy,
            inbox: &self.inbox,
            shelf: Some(shelf),
            base_url,
            trying: Trying::Briefly,
        };
        let mut report = VerifyReport {
            files: 0,
            bytes: ByteCount::default(),
            repaired: Vec::new(),
            broken: Vec::new(),
            fault: None,
        };
        for file in wrong {
            // What came out of files costs no waiting, and each is to be copied when they are chosen again.
            if report.fault.is_none() || is_of_files(base_url) {
                report.fault = source.fetch(file, None).await.err();
            }
            match report.fault {
                None => report.repaired.push(file.file.clone()),
                Some(_) => report.broken.push(file.file.clone()),
            }
        }
        report
    }
}

/// The files whose bytes are missing in the store or not what they should be. All are read before anything else is done: nothing
/// else uses the store while a file is got again.
async fn wrong<'f, H: Host>(
    shelf: &Shelf<'_, H>,
    key: &str,
    files: &[&'f FileHash],
    meter: &mut Meter<'_, H>,
) -> Result<Vec<&'f FileHash>, Fault> {
    meter.begin(
        LoadStage::Verify,
        files.iter().map(|file| (file.bytes, false)),
        0,
    );
    let mut wrong = Vec::new();
    let mut ahead = Ahead::new();
    let mut begun = files.iter();
    for file in files {
        while ahead.len() < FILES_AHEAD
            && let Some(next) = begun.next()
        {
            ahead.begin(shelf.get(key, next));
        }
        if ahead.next().await.transpose()?.flatten().is_none() {
            wrong.push(*file);
        }
        meter.shards(1, file.bytes, 0);
    }
    Ok(wrong)
}
