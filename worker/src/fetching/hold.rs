//! Files that are handed over, not stored.

use std::cell::RefCell;

use model::download::{Extent, Problem, Want};
use model::manifest::FileHash;
use protocol::{Fault, FaultCode};

use super::{Keeper, Order, Trying, fetch};
use crate::progress::Meter;
use crate::{Blob, Host, Inbox, Policy};

/// Hands a file over.
struct Hold<'a, 'm, H: Host> {
    host: &'a H,
    /// What it should be, when that is known.
    expected: Option<&'a FileHash>,
    meter: RefCell<Option<&'a mut Meter<'m, H>>>,
    bytes: RefCell<Option<H::Bytes>>,
}

impl<H: Host> Keeper for Hold<'_, '_, H> {
    type Bytes = H::Bytes;

    async fn take(&self, _: usize, bytes: H::Bytes) -> Result<Option<Problem>, Fault> {
        if let Some(expected) = self.expected
            && let Some(problem) = compared(self.host, expected, &bytes).await?
        {
            return Ok(Some(problem));
        }
        *self.bytes.borrow_mut() = Some(bytes);
        Ok(None)
    }

    async fn save(&self, _: usize, _: u64, _: H::Bytes) -> Result<(), Fault> {
        Ok(())
    }

    async fn forget(&self, _: usize) -> Result<(), Fault> {
        Ok(())
    }

    fn is_saving(&self) -> bool {
        false
    }

    fn progress(&self, new_bytes: u64, part_bytes: u64) {
        if let Some(meter) = &mut *self.meter.borrow_mut() {
            meter.came(new_bytes, part_bytes);
        }
    }

    fn kept(&self, _: usize, _: u64) {}
}

/// What is wrong with bytes that should be a file.
pub(super) async fn compared<H: Host>(
    host: &H,
    expected: &FileHash,
    bytes: &H::Bytes,
) -> Result<Option<Problem>, Fault> {
    let got = host.sha256(bytes).await.map_err(|detail| {
        let length = bytes.len();
        let file = &expected.file;
        Fault::new(
            FaultCode::Corrupt,
            format!("{file}: expected a hash of its {length} bytes, got none: {detail}"),
        )
    })?;
    Ok((got != expected.sha256).then(|| Problem::WrongHash {
        expected: expected.sha256.clone(),
        got,
    }))
}

/// Fetches a small file whose hash nobody knows, for somebody who waits.
///
/// # Errors
/// As for [`fetch`].
pub(crate) async fn described<H: Host>(
    host: &H,
    policy: &Policy,
    inbox: &Inbox,
    url: String,
    name: &str,
    max_bytes: u64,
) -> Result<H::Bytes, Fault> {
    let want = Want {
        name: name.to_owned(),
        extent: Extent::Unknown { max_bytes },
        has_hash: false,
        held_bytes: 0,
        held_version: None,
    };
    let order = Order {
        url,
        want,
        held: None,
    };
    let hold = Hold {
        host,
        expected: None,
        meter: RefCell::new(None),
        bytes: RefCell::new(None),
    };
    fetch(host, policy, inbox, &hold, Trying::Briefly, vec![order]).await?;
    handed_over(hold.bytes.into_inner(), name)
}

/// Fetches a file of a package. The result has the stated length and hash.
///
/// # Errors
/// As for [`fetch`].
pub(crate) async fn whole<H: Host>(
    host: &H,
    policy: &Policy,
    inbox: &Inbox,
    base_url: &str,
    file: &FileHash,
    meter: Option<&mut Meter<'_, H>>,
) -> Result<H::Bytes, Fault> {
    let hold = Hold {
        host,
        expected: Some(file),
        meter: RefCell::new(meter),
        bytes: RefCell::new(None),
    };
    let order = Order::whole(base_url, file, None);
    fetch(host, policy, inbox, &hold, Trying::Patiently, vec![order]).await?;
    handed_over(hold.bytes.into_inner(), &file.file)
}

/// A download that has ended well has brought its file; who cancels one waits for nothing.
pub(super) fn handed_over<B>(bytes: Option<B>, name: &str) -> Result<B, Fault> {
    bytes.ok_or_else(|| {
        Fault::new(
            FaultCode::Network,
            format!("{name}: the download was ended"),
        )
    })
}
