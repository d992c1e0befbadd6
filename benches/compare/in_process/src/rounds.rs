//! Timing in turns, and the table.

use std::time::{Duration, Instant};

const ROUNDS: usize = 25;
/// What one turn takes at least.
const TURN: Duration = Duration::from_millis(4);

/// One row of a table: a closure for each column, which does `1 / per` of what the figure is for.
pub struct Row {
    name: String,
    cells: Vec<Cell>,
}

struct Cell {
    run: Box<dyn FnMut()>,
    /// Things done by one call.
    things: usize,
    calls: u32,
    samples: Vec<f64>,
}

impl Row {
    pub fn new(name: &str) -> Self {
        Self { name: name.into(), cells: Vec::new() }
    }

    /// The next column: `run` does so many things.
    pub fn cell(mut self, things: usize, run: impl FnMut() + 'static) -> Self {
        self.cells.push(Cell { run: Box::new(run), things, calls: 1, samples: Vec::new() });
        self
    }
}

/// Times all cells in turns and prints nanoseconds per thing, and how that compares with our own row, the first one.
pub fn table(title: &str, columns: &[&str], mut rows: Vec<Row>) {
    for column in 0..columns.len() {
        for row in &mut rows {
            row.cells[column].calibrate();
        }
        for round in 0..ROUNDS {
            let count = rows.len();
            for i in 0..count {
                rows[(i + round) % count].cells[column].turn();
            }
        }
    }
    println!("\n**{title}**, ns each\n\n| | {} |\n|---|{}", columns.join(" | "), "---:|".repeat(columns.len()));
    let ours: Vec<f64> = rows[0].cells.iter().map(Cell::median).collect();
    for row in &rows {
        let cells: Vec<String> = row.cells.iter().zip(&ours).map(|(cell, ours)| cell.show(*ours)).collect();
        println!("| {} | {} |", row.name, cells.join(" | "));
    }
}

impl Cell {
    fn calibrate(&mut self) {
        while self.time() < TURN {
            self.calls *= 2;
        }
    }

    fn time(&mut self) -> Duration {
        let began = Instant::now();
        for _ in 0..self.calls {
            (self.run)();
        }
        began.elapsed()
    }

    fn turn(&mut self) {
        let took = self.time().as_nanos() as f64;
        self.samples.push(took / f64::from(self.calls) / self.things as f64);
    }

    fn median(&self) -> f64 {
        let mut samples = self.samples.clone();
        samples.sort_by(f64::total_cmp);
        samples[samples.len() / 2]
    }

    fn show(&self, ours: f64) -> String {
        let median = self.median();
        format!("{median:.1} ({:.2} x)", median / ours)
    }
}
