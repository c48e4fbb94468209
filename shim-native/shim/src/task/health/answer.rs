//! What one probe comes to.

/// Docker keeps so much of what a probe says.
const MAX_OUTPUT: usize = 4096;

/// The end of a probe.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    pub exit_code: i32,
    pub output: String,
}

impl Answer {
    /// Docker's exit code of a probe that could not be run, or took too long.
    pub fn failed(output: impl ToString) -> Self {
        Answer {
            exit_code: -1,
            output: output.to_string(),
        }
    }
}

/// The beginning of what a probe says.
#[derive(Default)]
pub struct Output {
    bytes: Vec<u8>,
    is_cut: bool,
}

impl Output {
    pub fn take(&mut self, bytes: &[u8]) {
        let room = MAX_OUTPUT - self.bytes.len();
        self.bytes.extend_from_slice(&bytes[..bytes.len().min(room)]);
        self.is_cut |= bytes.len() > room;
    }

    pub fn is_full(&self) -> bool {
        self.bytes.len() == MAX_OUTPUT
    }

    /// As text; dots stand for what was left out.
    pub fn text(&self) -> String {
        let text = String::from_utf8_lossy(&self.bytes);
        format!("{text}{}", if self.is_cut { "..." } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_is_cut_with_dots() {
        let mut output = Output::default();
        output.take(&[b'a'; MAX_OUTPUT - 1]);
        assert!(!output.is_full());
        output.take(b"b");
        assert_eq!(output.text().len(), MAX_OUTPUT);
        output.take(b"c");
        assert!(output.text().ends_with("b..."));
    }
}
