//! What goes wrong in a case, and where.

use crate::server::FILES;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nobody listens where the file is said to be.
    Refuse,
    /// The connection is closed without an answer.
    Reset,
    Status(u16),
    /// The body breaks off before this quarter is whole.
    Cut(u64),
    /// Nothing more comes after the first half.
    Stall,
    /// Nine bytes too few, and a Content-Length that says so.
    Short,
    /// Nine bytes too many.
    Long,
    Html,
    /// Nothing, and a Content-Length that says so.
    Empty,
    /// A bit is flipped: in the middle of a file, in the first byte of an answer.
    Corrupt,
    /// 403, until the metadata are read again.
    Expired,
    RedirectLoop,
    ForeignHost,
    /// To an address that no listed name stands for.
    PrivateHost,
    /// To a name that stands for such an address.
    PrivateName,
    /// Plain http to another host. (From https to a listed one: `tests/system/downgrade.rs`.)
    Downgrade,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Metadata,
    List,
    First,
    Last,
}

impl Place {
    pub(crate) fn file(self) -> Option<usize> {
        match self {
            Self::Metadata | Self::List => None,
            Self::First => Some(0),
            Self::Last => Some(FILES.len() - 1),
        }
    }
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Script {
    pub(crate) at: Place,
    pub(crate) fault: Fault,
    /// Each time, or the first time only.
    pub(crate) always: bool,
    /// The first file is so large that an object store gets it in several parts.
    pub(crate) large: bool,
}
