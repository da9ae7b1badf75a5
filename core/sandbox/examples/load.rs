//! Measures a running sandbox: `cargo run --release -p tongbao-sandbox --example load -- <protocol url> [seconds] [connections]`.
//!
//! Prints requests per second for a signed query by number, the cheapest and most frequent call of a connector. Pin server
//! and load to different cores (`taskset -c 0`, `taskset -c 1`) to measure one core of the server.

use std::{
    io::{self, Write},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

fn request(path: &str, session: &str, body: &str) -> Vec<u8> {
    format!(
        "POST /k3cloud/Kingdee.BOS.WebApi.ServicesStub.{path}.common.kdsvc HTTP/1.1\r\nhost: x\r\n\
         content-type: application/json\r\nkdservice-sessionid: {session}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// Sends one request and reads the whole answer.
async fn call(stream: &mut TcpStream, request: &[u8], buffer: &mut Vec<u8>) -> io::Result<usize> {
    stream.write_all(request).await?;
    buffer.clear();
    loop {
        if stream.read_buf(buffer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let text = String::from_utf8_lossy(buffer);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head
            .lines()
            .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok())
            .unwrap_or(0_usize);
        if body.len() >= length {
            return Ok(length);
        }
    }
}

async fn login(address: &str) -> io::Result<String> {
    let body = r#"{"parameters":["64f0c0ffee0001","integration","sandbox-password",2052]}"#;
    let mut stream = TcpStream::connect(address).await?;
    let mut buffer = Vec::new();
    call(&mut stream, &request("AuthService.ValidateUser", "", body), &mut buffer).await?;
    let text = String::from_utf8_lossy(&buffer).into_owned();
    let value: serde_json::Value = text
        .split_once("\r\n\r\n")
        .and_then(|(_, body)| serde_json::from_str(body).ok())
        .ok_or(io::ErrorKind::InvalidData)?;
    Ok(value.get("KDSVCSessionId").and_then(serde_json::Value::as_str).unwrap_or("").to_owned())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let mut args = std::env::args().skip(1);
    let address = args.next().unwrap_or_default().trim_start_matches("http://").to_owned();
    let seconds: u64 = args.next().and_then(|text| text.parse().ok()).unwrap_or(5);
    let connections: u64 = args.next().and_then(|text| text.parse().ok()).unwrap_or(32);
    let session = login(&address).await?;
    let body = r#"{"data":{"FormId":"SAL_SaleOrder","FieldKeys":"FID,FBillNo,FDocumentStatus","FilterString":"FBillNo='L1'"}}"#;
    let query = Arc::new(request("DynamicFormService.ExecuteBillQuery", &session, body));
    let done = Arc::new(AtomicU64::new(0));
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..connections {
        let (query, done, address) = (Arc::clone(&query), Arc::clone(&done), address.clone());
        tasks.spawn(async move {
            let mut stream = TcpStream::connect(&address).await?;
            stream.set_nodelay(true)?;
            let mut buffer = Vec::new();
            while Instant::now() < end {
                call(&mut stream, &query, &mut buffer).await?;
                done.fetch_add(1, Ordering::Relaxed);
            }
            io::Result::Ok(())
        });
    }
    while let Some(task) = tasks.join_next().await {
        task.map_err(io::Error::other)??;
    }
    let count = done.load(Ordering::Relaxed);
    writeln!(io::stdout(), "{count} requests in {seconds} s, {} per second", count / seconds.max(1))
}
