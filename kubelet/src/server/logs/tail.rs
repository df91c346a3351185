//! Where the last lines of a file begin, found from its end. Upstream: cri-client
//! pkg/logs/tail.go `findTailLineStartIndex`.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncSeek, AsyncSeekExt as _};

const BLOCK: u64 = 16 * 1024;

/// The offset of the last `lines` lines; 0 when there are not more.
pub(super) async fn start<F: AsyncRead + AsyncSeek + Unpin>(file: &mut F, lines: u64) -> io::Result<u64> {
    let size = file.seek(io::SeekFrom::End(0)).await?;
    if lines == 0 {
        return Ok(size);
    }
    let mut end = size;
    let mut found = 0;
    let mut block = vec![0; BLOCK as usize];
    while end > 0 {
        let begin = end.saturating_sub(BLOCK);
        let block = &mut block[..(end - begin) as usize];
        file.seek(io::SeekFrom::Start(begin)).await?;
        file.read_exact(block).await?;
        for (at, _) in block.iter().enumerate().rev().filter(|&(_, &byte)| byte == b'\n') {
            let after = begin + at as u64 + 1;
            // The end of the last line begins no line.
            if after < size {
                found += 1;
                if found == lines {
                    return Ok(after);
                }
            }
        }
        end = begin;
    }
    Ok(0)
}
