//! The way of one client to the server, which can be cut.
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

pub struct Line {
    pub address: String,
    cuts: watch::Sender<()>,
}

impl Line {
    pub async fn to(server: String) -> Line {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("its address").to_string();
        let (cuts, _) = watch::channel(());
        let sender = cuts.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pass(client, server.clone(), sender.subscribe()));
            }
        });
        Line { address, cuts }
    }

    /// As when a network goes: what is connected now is no more.
    pub fn cut(&self) {
        self.cuts.send_replace(());
    }
}

async fn pass(mut client: TcpStream, server: String, mut cuts: watch::Receiver<()>) {
    let Ok(mut there) = TcpStream::connect(server).await else {
        return;
    };
    tokio::select! {
        _ = copy_bidirectional(&mut client, &mut there) => {}
        _ = cuts.changed() => {}
    }
}
