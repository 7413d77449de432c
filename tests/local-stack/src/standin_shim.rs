//! Stands where the Data API stand-in will: answers every call with 501.

use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

pub struct Settings {
    pub listen: SocketAddr,
    #[allow(dead_code)]
    pub warehouse: Warehouse,
    #[allow(dead_code)]
    pub aws_endpoint: String,
    #[allow(dead_code)]
    pub region: String,
    #[allow(dead_code)]
    pub account: String,
    #[allow(dead_code)]
    pub latency: Latency,
}

#[allow(dead_code)]
pub struct Warehouse {
    pub host: String,
    pub port: u16,
    pub user: String,
}

#[derive(Default)]
pub struct Latency {}

pub struct Standin {
    pub address: SocketAddr,
}

pub async fn serve(settings: Settings) -> anyhow::Result<Standin> {
    let listener = tokio::net::TcpListener::bind(settings.listen).await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut buffer = [0; 4096];
                let _ = stream.read(&mut buffer).await;
                let answer = b"HTTP/1.1 501 Not Implemented\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}";
                let _ = stream.write_all(answer).await;
                let _ = stream.shutdown().await;
            });
        }
    });
    Ok(Standin { address })
}

impl Standin {
    pub async fn shutdown(self) {}
}
