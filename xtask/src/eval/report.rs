//! The figures of a run: per shot as JSON, per kind as a table.

use std::collections::BTreeMap;

use serde::Serialize;

use super::answer::Answer;
use super::product::Times;
use super::scene::Kind;
use super::score::Figures;

/// All figures of one shot.
#[derive(Debug, Serialize)]
pub struct ShotReport {
    /// The kind's name.
    #[serde(serialize_with = "kind_name")]
    pub kind: Kind,
    /// The shot's index.
    pub index: u32,
    /// What each answer is worth.
    pub figures: BTreeMap<Answer, Figures>,
    /// What the product's run took.
    pub times: Option<Times>,
}

fn kind_name<S: serde::Serializer>(kind: &Kind, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(kind.name())
}

impl ShotReport {
    /// Flow-carried: the better of its two ways on this shot.
    pub fn flow(&self) -> Option<&Figures> {
        let ways = [Answer::FlowDirect, Answer::FlowAccumulated];
        let found = ways.iter().filter_map(|way| self.figures.get(way));
        found.max_by(|a, b| a.psnr.total_cmp(&b.psnr))
    }

    fn of(&self, column: Column) -> Option<&Figures> {
        match column {
            Column::Flow => self.flow(),
            Column::Answer(answer) => self.figures.get(&answer),
        }
    }
}

/// A column of the tables.
#[derive(Clone, Copy, PartialEq)]
enum Column {
    Answer(Answer),
    Flow,
}

const COLUMNS: [(&str, Column); 10] = [
    ("no edit", Column::Answer(Answer::NoEdit)),
    ("first frame held", Column::Answer(Answer::FirstHeld)),
    ("flow direct", Column::Answer(Answer::FlowDirect)),
    ("flow accumulated", Column::Answer(Answer::FlowAccumulated)),
    ("flow-carried", Column::Flow),
    ("carried alone", Column::Answer(Answer::Carried)),
    ("carried, the rest true", Column::Answer(Answer::CarriedRestTrue)),
    ("without LoRA", Column::Answer(Answer::WithoutLora)),
    ("ours", Column::Answer(Answer::Ours)),
    ("VAE alone", Column::Answer(Answer::VaeAlone)),
];

/// Reads one figure.
type Read = fn(&Figures) -> f64;

/// A run's figures.
pub struct Report {
    /// What was run, in a sentence.
    pub settings: String,
    /// Why columns are missing, in sentences.
    pub missing: Vec<String>,
    /// The shots.
    pub shots: Vec<ShotReport>,
}

impl Report {
    /// The tables in Markdown.
    pub fn markdown(&self) -> String {
        let mut text = format!("{}\n", self.settings);
        self.missing.iter().for_each(|line| text += &format!("\n**Not measured:** {line}\n"));
        text += &self.by_kind("In-mask PSNR over frames 2 to the last, in dB", |figures| figures.psnr);
        text += &self.by_kind("The same over the last quarter", |figures| figures.psnr_last_quarter);
        text += &self.by_kind("In-mask SSIM over frames 2 to the last", |figures| figures.ssim);
        text + &self.by_answer()
    }

    /// One table of one figure: kinds down, answers across, and what we are ahead of flow and of the model without an adapter.
    fn by_kind(&self, title: &str, read: Read) -> String {
        let names = COLUMNS.map(|(name, _)| name).join(" | ");
        let mut text = format!(
            "\n{title}:\n\n| kind | {names} | ours - flow | ours - without LoRA |\n|---|{}\n",
            "--:|".repeat(COLUMNS.len() + 2)
        );
        let rows: Vec<Vec<Option<f64>>> = self.kinds().into_iter().map(|kind| self.row(kind, read)).collect();
        for (kind, row) in self.kinds().into_iter().zip(&rows) {
            text += &table_line(kind.name(), row);
        }
        let average = (0..rows.first().map_or(0, Vec::len)).map(|c| mean(rows.iter().map(|row| row[c])));
        text + &table_line("**average**", &average.collect::<Vec<_>>())
    }

    fn row(&self, kind: Kind, read: Read) -> Vec<Option<f64>> {
        let shots = || self.shots.iter().filter(|shot| shot.kind == kind);
        let column = |column| mean(shots().map(|shot| shot.of(column).map(read)));
        let mut row: Vec<_> = COLUMNS.iter().map(|(_, c)| column(*c)).collect();
        let ours = column(Column::Answer(Answer::Ours));
        let ahead = |of: Column| ours.zip(column(of)).map(|(ours, other)| ours - other);
        row.extend([ahead(Column::Flow), ahead(Column::Answer(Answer::WithoutLora))]);
        row
    }

    /// The other figures, averaged over the shots.
    fn by_answer(&self) -> String {
        let mut text = "\nThe other figures, mean over the shots (8-bit code values; for seam, warp error and flicker less is better):\n\n\
            | answer | SSIM last quarter | seam | warp error | flicker | max difference outside |\n|---|--:|--:|--:|--:|--:|\n"
            .to_string();
        let reads: [Read; 5] = [
            |f| f.ssim_last_quarter,
            |f| f.seam,
            |f| f.warp_error,
            |f| f.flicker,
            |f| f64::from(f.max_diff_outside),
        ];
        for (name, column) in COLUMNS.into_iter().chain([("truth", Column::Answer(Answer::Truth))]) {
            let row = reads.map(|read| mean(self.shots.iter().map(|shot| shot.of(column).map(read))));
            text += &table_line(name, &row);
        }
        text
    }

    fn kinds(&self) -> Vec<Kind> {
        let mut kinds: Vec<Kind> = self.shots.iter().map(|shot| shot.kind).collect();
        kinds.sort();
        kinds.dedup();
        kinds
    }

    /// The greatest difference outside the mask that the product made.
    pub fn outside(&self) -> f32 {
        let answers = [Answer::Ours, Answer::WithoutLora];
        let made = self.shots.iter().flat_map(|shot| answers.iter().filter_map(|a| shot.figures.get(a)));
        made.map(|figures| figures.max_diff_outside).fold(0.0, f32::max)
    }
}

/// The mean; none where a value is missing, or all are.
fn mean(values: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    let values: Vec<f64> = values.collect::<Option<_>>()?;
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// A row of a table; less than 1 with three digits, `-` where there is no figure.
pub(super) fn table_line(name: &str, values: &[Option<f64>]) -> String {
    let cell = |value: &Option<f64>| match value {
        Some(value) if *value == 0.0 => "0".to_string(),
        Some(value) if value.abs() < 1.0 => format!("{value:.3}"),
        Some(value) => format!("{value:.2}"),
        None => "-".to_string(),
    };
    format!("| {name} | {} |\n", values.iter().map(cell).collect::<Vec<_>>().join(" | "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(psnr: f64) -> Figures {
        Figures {
            psnr,
            psnr_last_quarter: psnr - 1.0,
            ssim: 0.5,
            ssim_last_quarter: 0.4,
            seam: 2.0,
            warp_error: 3.0,
            flicker: 0.25,
            max_diff_outside: 0.0,
        }
    }

    fn shot(kind: Kind, index: u32, flow: Option<[f64; 2]>, ours: f64) -> ShotReport {
        let mut found = BTreeMap::from([(Answer::NoEdit, figures(10.0)), (Answer::Ours, figures(ours))]);
        if let Some([direct, accumulated]) = flow {
            found.insert(Answer::FlowDirect, figures(direct));
            found.insert(Answer::FlowAccumulated, figures(accumulated));
        }
        ShotReport { kind, index, figures: found, times: None }
    }

    #[test]
    fn flow_is_the_better_way_of_each_shot_and_kinds_are_averaged() {
        let shots = vec![
            shot(Kind::Plane, 0, Some([20.0, 24.0]), 21.0),
            shot(Kind::Plane, 1, Some([22.0, 10.0]), 21.0),
            shot(Kind::Ball, 0, Some([15.0, 12.0]), 18.0),
        ];
        let text = Report { settings: "x".into(), missing: vec![], shots }.markdown();
        let plane = "| plane | 10.00 | - | 21.00 | 17.00 | 23.00 | - | - | - | 21.00 | - | -2.00 | - |";
        let average =
            "| **average** | 10.00 | - | 18.00 | 14.50 | 19.00 | - | - | - | 19.50 | - | 0.500 | - |";
        assert!(text.contains(plane) && text.contains(average), "{text}");
    }

    #[test]
    fn what_is_missing_is_said_and_never_averaged_away() {
        let shots = vec![shot(Kind::Plane, 0, None, 21.0), shot(Kind::Ball, 0, Some([15.0, 12.0]), 18.0)];
        let text = Report { settings: "x".into(), missing: vec!["no OpenCV".into()], shots }.markdown();
        assert!(text.contains("**Not measured:** no OpenCV"));
        assert!(
            text.contains("| **average** | 10.00 | - | - | - | - | - | - | - | 19.50 | - | - | - |"),
            "{text}"
        );
    }

    #[test]
    fn json_names_kinds_and_answers() {
        let value = serde_json::to_value(shot(Kind::Ball, 3, None, 18.0)).unwrap();
        assert_eq!((&value["kind"], &value["index"]), (&"ball".into(), &3.into()));
        assert_eq!(value["figures"]["ours"]["psnr"], 18.0);
    }
}
