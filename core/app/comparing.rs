//! Two files through the comparison: one thread reads both, one after the other, and this one adds up.

use std::fs::File;
use std::hash::RandomState;
use std::io::Read as _;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread;
use tongbao_model::Text;
use tongbao_recon::compare::{Batch, Columns, Encoding, Ledger, Read, Reader, Side};

/// Bytes that are read at once.
const BLOCK: u64 = 256 * 1024;
/// Batches that may wait to be added up.
const AHEAD: usize = 4;

/// A file and how it is read.
#[derive(Debug, Clone)]
pub struct Source {
    /// The file.
    pub path: PathBuf,
    /// Its columns.
    pub columns: Columns,
    /// Its encoding, where it is not to be found out.
    pub encoding: Option<&'static Encoding>,
}

/// What came of it.
#[derive(Debug)]
pub struct Compared {
    /// All keys.
    pub ledger: Ledger,
    /// What was read, left and right.
    pub read: [Read; 2],
}

/// Compares two files, which have at most so many different keys.
pub fn compare(left: &Source, right: &Source, keys_max: usize) -> Result<Compared, Text> {
    let mut ledger = Ledger::new(keys_max, left.columns.currency.is_some());
    let (send, batches) = sync_channel(AHEAD);
    let (give_back, used) = channel();
    let (added, read) = thread::scope(|scope| {
        let reading = scope.spawn(move || {
            let hasher = RandomState::new();
            let left = read(left, Side::Left, &hasher, &send, &used)?;
            Ok([left, read(right, Side::Right, &hasher, &send, &used)?])
        });
        let blocks = std::fs::metadata(&left.path).map_or(0, |file| file.len() / BLOCK + 1);
        let added = add(&mut ledger, batches, &give_back, usize::try_from(blocks).unwrap_or(0));
        (added, reading.join())
    });
    added?;
    let read =
        read.map_err(|_| Text::new("读取线程异常结束", "the thread that reads has ended")).flatten()?;
    Ok(Compared { ledger, read })
}

/// Adds up until all is read. The first block tells how many rows as many blocks are. The batches' memory goes back to be
/// filled again; whoever reads ends with the receiver.
fn add(
    ledger: &mut Ledger,
    batches: Receiver<(Side, Batch)>,
    give_back: &Sender<Batch>,
    blocks: usize,
) -> Result<(), Text> {
    for (number, (side, mut batch)) in batches.into_iter().enumerate() {
        if number == 0 {
            ledger.expect(batch.rows.len().saturating_mul(blocks));
        }
        ledger.add(side, &batch)?;
        batch.clear();
        // The last ones are not wanted back.
        let _ = give_back.send(batch);
    }
    Ok(())
}

fn read(
    source: &Source,
    side: Side,
    hasher: &RandomState,
    send: &SyncSender<(Side, Batch)>,
    used: &Receiver<Batch>,
) -> Result<Read, Text> {
    let shown = source.path.display();
    let about = |why: Text| Text::new(format!("{shown}：{}", why.zh), format!("{shown}: {}", why.en));
    let failed = |error: std::io::Error| {
        Text::new(format!("{shown}：无法读取（{error}）"), format!("{shown}: cannot be read ({error})"))
    };
    let mut file = File::open(&source.path).map_err(failed)?;
    let mut reader = Reader::new(source.columns.clone(), source.encoding, hasher.clone());
    let mut bytes = Vec::new();
    loop {
        let mut batch = used.try_recv().unwrap_or_default();
        let count = file.by_ref().take(BLOCK).read_to_end(&mut bytes).map_err(failed)?;
        let is_last = count == 0;
        let done = reader.read(&bytes, is_last, &mut batch).map_err(about)?;
        bytes.drain(..done);
        if send.send((side, batch)).is_err() || is_last {
            break;
        }
    }
    reader.finish().map_err(about)
}
