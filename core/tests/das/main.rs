//! Data access services that cut, clamp, stall and repeat themselves, of both forms: nothing that is there is absent,
//! nothing that is not there is found. They are the simulator's, on real sockets.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod cut;
mod verint;

use axum::Router;

mod on_verint {
    use super::verint::Platform;
    use recapture_core::contacts::Contacts;

    async fn fresh() -> (Contacts, Platform) {
        let platform = Platform::empty().await;
        (platform.contacts().await, platform)
    }

    recapture_core::contacts_claims!(fresh, read_only);
}

/// Serves until the test is over; gives the address.
async fn serve(router: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}")
}
