//! Huge pages: fewer misses of the processor's own table of pages where memory is large and read at random.

use std::io;

use super::sys;

/// Lets the kernel back this memory with huge pages (2 MiB on most machines) instead of small ones, in its own time.
/// Memory that is hardly used yet gets larger by that.
///
/// # Errors
/// The kernel's, when it has no huge pages.
pub fn prefer_huge_pages<T>(memory: &[T]) -> io::Result<()> {
    sys::prefer_huge_pages(memory)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::prefer_huge_pages;

    /// Whether the kernel has this address down for huge pages (`hg` in `smaps`, proc(5)).
    fn is_advised(address: usize) -> bool {
        let maps = fs::read_to_string("/proc/self/smaps").unwrap();
        let mut is_here = false;
        for line in maps.lines() {
            let range = line.split(' ').next().and_then(|range| range.split_once('-'));
            let bounds = range.map(|(from, to)| [from, to].map(|bound| usize::from_str_radix(bound, 16)));
            if let Some([Ok(from), Ok(to)]) = bounds {
                is_here = (from..to).contains(&address);
            } else if is_here && line.starts_with("VmFlags:") {
                return line.split(' ').any(|flag| flag == "hg");
            }
        }
        false
    }

    #[test]
    fn the_kernel_knows_which_memory_is_to_have_huge_pages() {
        let memory = vec![0_u64; 1 << 20];
        let middle = &raw const memory[1 << 19];
        assert!(!is_advised(middle.addr()));
        match prefer_huge_pages(&memory) {
            Ok(()) => assert!(is_advised(middle.addr())),
            Err(error) => println!("SKIPPED: this kernel has no huge pages: {error}"),
        }
        assert!(memory.iter().all(|&word| word == 0));
    }

    #[test]
    fn memory_that_fills_no_page_is_left_alone() {
        let advised = prefer_huge_pages(&[1_u8, 2, 3]);
        assert!(advised.is_ok() || advised.is_err_and(|error| error.raw_os_error() == Some(libc::EINVAL)));
        assert!(prefer_huge_pages::<u64>(&[]).is_ok() || cfg!(not(target_os = "linux")));
    }
}
