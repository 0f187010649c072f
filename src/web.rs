//! What our HTTP services share: problems (RFC 9457), a name, a limit and a line of the log for each request, and bearer
//! tokens that are compared in a time which tells nothing of them.

pub(crate) mod attend;
pub(crate) mod problem;
pub(crate) mod token;
