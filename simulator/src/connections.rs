//! Connections that can be cut under a running exchange, and doors that can be shut.
//!
//! A [`Door`] is a listening port. While it is shut, what is open through it has been cut and whoever
//! connects is cut at once, with a TCP reset and without an answer: the port stays ours, and a client sees
//! what a dead service behind a load balancer looks like. A handler can cut its own connection through
//! [`Wire`].

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use crate::counts::lock;

/// Opens and shuts a listening port. Clones are the same door.
#[derive(Debug, Clone)]
pub(crate) struct Door(Arc<Mutex<DoorState>>);

#[derive(Debug)]
struct DoorState {
    open: bool,
    /// Cut when the door shuts; a new one is made when it opens.
    through: CancellationToken,
}

impl Door {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(DoorState { open: true, through: CancellationToken::new() })))
    }

    pub(crate) fn set_open(&self, open: bool) {
        let mut state = lock(&self.0);
        if open && !state.open {
            state.through = CancellationToken::new();
        } else if !open {
            state.through.cancel();
        }
        state.open = open;
    }

    fn pass(&self) -> Option<CancellationToken> {
        let state = lock(&self.0);
        state.open.then(|| state.through.child_token())
    }
}

/// A listener behind a door.
#[derive(Debug)]
pub(crate) struct Entrance {
    pub(crate) listener: TcpListener,
    pub(crate) door: Door,
}

impl Listener for Entrance {
    type Io = Cuttable;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Cuttable, SocketAddr) {
        loop {
            match self.listener.accept().await {
                Ok((stream, peer)) => match self.door.pass() {
                    Some(cut) => return (Cuttable::new(stream, cut), peer),
                    None => drop(stream.set_zero_linger()),
                },
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted; trying again");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A TCP stream that ends in a reset as soon as its token is cancelled.
#[derive(Debug)]
pub(crate) struct Cuttable {
    stream: TcpStream,
    cut: CancellationToken,
    cutting: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Cuttable {
    fn new(stream: TcpStream, cut: CancellationToken) -> Self {
        // Small answers must not wait for the acknowledgement of the one before.
        drop(stream.set_nodelay(true));
        Self { stream, cutting: Box::pin(cut.clone().cancelled_owned()), cut }
    }

    fn check(&mut self) -> io::Result<()> {
        if self.cut.is_cancelled() {
            // With nothing to linger for, closing the socket sends a reset in place of an orderly end.
            drop(self.stream.set_zero_linger());
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        Ok(())
    }
}

impl AsyncRead for Cuttable {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // Polled for its wake-up: the server always has a read pending, so a cut is noticed while a body
        // stalls too.
        let _ = self.cutting.as_mut().poll(context);
        self.check()?;
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Cuttable {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// The connection that a request came over, for the handler that wants to cut it.
#[derive(Debug, Clone)]
pub(crate) struct Wire(CancellationToken);

impl Wire {
    /// What the handler answers after this is never sent.
    pub(crate) fn cut(&self) {
        self.0.cancel();
    }
}

impl Connected<IncomingStream<'_, Entrance>> for Wire {
    fn connect_info(stream: IncomingStream<'_, Entrance>) -> Self {
        Self(stream.io().cut.clone())
    }
}
