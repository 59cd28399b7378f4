//! What doctor says: one line, or one JSON object, for each step as it happens.

use std::io::{self, Write};

use serde::Serialize;

/// How a step went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Outcome {
    /// As it should.
    Works,
    /// It should work and does not.
    Fails,
    /// No setting makes it work with this client and release.
    Cannot,
    /// Left out.
    NotTried,
}

impl Outcome {
    fn mark(self) -> &'static str {
        match self {
            Self::Works => "✓",
            Self::Fails => "✗",
            Self::Cannot | Self::NotTried => "–",
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Works => "works",
            Self::Fails => "fails",
            Self::Cannot => "cannot",
            Self::NotTried => "not tried",
        }
    }
}

/// A step that is over.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Step {
    /// Its name.
    pub(super) step: String,
    /// How it went.
    pub(super) outcome: Outcome,
    /// What was seen, or why it went so.
    pub(super) detail: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) remedy: Option<String>,
}

impl Step {
    pub(super) fn new(step: &str, outcome: Outcome, detail: impl Into<String>) -> Self {
        Self { step: step.into(), outcome, detail: detail.into(), remedy: None }
    }

    pub(super) fn remedy(self, remedy: impl Into<String>) -> Self {
        Self { remedy: Some(remedy.into()), ..self }
    }
}

/// In which form the steps are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Marks, for a terminal.
    Marks,
    /// Marks and words, for a file or a pipe.
    Words,
    /// JSON, for programs.
    Json,
}

/// Tells the steps and counts them.
pub(super) struct Report<'a, W> {
    out: &'a mut W,
    form: Form,
    /// Steps that went as they should.
    pub(super) works: usize,
    /// Steps that did not.
    pub(super) fails: usize,
}

impl<'a, W: Write> Report<'a, W> {
    pub(super) fn new(out: &'a mut W, form: Form) -> Self {
        Self { out, form, works: 0, fails: 0 }
    }

    /// Tells a step.
    pub(super) fn tell(&mut self, step: &Step) -> io::Result<()> {
        match step.outcome {
            Outcome::Works => self.works += 1,
            Outcome::Fails => self.fails += 1,
            Outcome::Cannot | Outcome::NotTried => {}
        }
        let mark = step.outcome.mark();
        match self.form {
            Form::Json => writeln!(self.out, "{}", serde_json::to_string(step)?)?,
            Form::Marks => writeln!(self.out, "  {mark} {:<11} {}", step.step, step.detail)?,
            Form::Words => {
                writeln!(self.out, "  {mark} {:<9}  {:<11} {}", step.outcome.word(), step.step, step.detail)?;
            }
        }
        if let (Some(remedy), true) = (&step.remedy, self.form != Form::Json) {
            writeln!(self.out, "      remedy: {remedy}")?;
        }
        self.out.flush()
    }

    /// Says something for people that is no step.
    pub(super) fn say(&mut self, text: &str) -> io::Result<()> {
        if self.form != Form::Json {
            writeln!(self.out, "{text}")?;
        }
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(form: Form) -> String {
        let mut out = Vec::new();
        let mut report = Report::new(&mut out, form);
        report.say("Trying:").unwrap();
        report.tell(&Step::new("submit", Outcome::Works, "request 1")).unwrap();
        report.tell(&Step::new("upload", Outcome::Cannot, "fixed host").remedy("encode it")).unwrap();
        report.tell(&Step::new("run", Outcome::Fails, "500")).unwrap();
        assert_eq!((report.works, report.fails), (1, 1));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn people_see_marks_and_programs_see_words() {
        insta::assert_snapshot!(told(Form::Marks), @r"
        Trying:
          ✓ submit      request 1
          – upload      fixed host
              remedy: encode it
          ✗ run         500
        ");
        insta::assert_snapshot!(told(Form::Words), @r"
        Trying:
          ✓ works      submit      request 1
          – cannot     upload      fixed host
              remedy: encode it
          ✗ fails      run         500
        ");
        insta::assert_snapshot!(told(Form::Json), @r#"
        {"step":"submit","outcome":"works","detail":"request 1"}
        {"step":"upload","outcome":"cannot","detail":"fixed host","remedy":"encode it"}
        {"step":"run","outcome":"fails","detail":"500"}
        "#);
    }
}
