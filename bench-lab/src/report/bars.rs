//! The lab as a picture: for each path and kind of traffic a group of bars, one for each system. What is carried
//! without loss is full, what is carried at overload is pale behind it.

use super::svg::{Anchor, COLOURS, FAINT, HEADING, INK, NORMAL, Picture, SMALL};
use super::thousands;
use crate::results::{Cell, Results};
use crate::systems::System;

const WIDTH: f64 = 900.0;
const LEFT: f64 = 190.0;
const RIGHT: f64 = 120.0;
const BAR: f64 = 14.0;
const GAP: f64 = 4.0;

/// Draws the bars. Returns them as SVG.
pub(super) fn draw(results: &Results) -> String {
    let mut picture = Picture::new(WIDTH);
    picture.text(
        (20.0, 26.0),
        HEADING,
        Anchor::Start,
        "Frames a second, in thousands, one gateway process beside the other",
    );
    picture.text(
        (20.0, 44.0),
        NORMAL,
        Anchor::Start,
        "full: highest rate without loss; pale: what is carried at overload",
    );
    let most = results.cells.iter().filter_map(|cell| cell.median(|point| Some(point.overload.max(point.lossless))));
    let scale = (WIDTH - LEFT - RIGHT) / most.fold(1.0, f64::max);
    let mut y = 60.0;
    let mut group: Option<(&str, _)> = None;
    for cell in &ordered(results) {
        if group != Some((&cell.path, cell.case)) {
            group = Some((&cell.path, cell.case));
            y += 22.0;
            picture.line(&[(20.0, y - 15.0), (WIDTH - 20.0, y - 15.0)], FAINT, 1.0);
            picture.text((20.0, y), NORMAL, Anchor::Start, &format!("{}: {}", cell.path, cell.case.name()));
            y += 8.0;
        }
        bar(&mut picture, cell, y, scale);
        y += BAR + GAP;
    }
    picture.grow_to(y + 10.0);
    picture.finish()
}

/// Groups together, in the order in which they were first measured.
fn ordered(results: &Results) -> Vec<&Cell> {
    let mut order: Vec<(&str, _)> = Vec::new();
    for cell in &results.cells {
        if !order.contains(&(cell.path.as_str(), cell.case)) {
            order.push((&cell.path, cell.case));
        }
    }
    let of = |key: &(&str, _)| results.cells.iter().filter(|cell| (cell.path.as_str(), cell.case) == *key).collect();
    order.iter().flat_map(|key| -> Vec<&Cell> { of(key) }).collect()
}

fn bar(picture: &mut Picture, cell: &Cell, y: f64, scale: f64) {
    let baseline = y + BAR - 3.0;
    picture.line(&[(LEFT, y - GAP / 2.0), (LEFT, y + BAR + GAP / 2.0)], INK, 1.0);
    picture.text((LEFT - 8.0, baseline), SMALL, Anchor::End, &cell.system);
    let figures = cell.median(|point| Some(point.lossless)).zip(cell.median(|point| Some(point.overload)));
    let Some((lossless, overload)) = figures else {
        let note = cell.note.as_deref().unwrap_or("not measured").lines().next().unwrap_or_default();
        let short: String = note.chars().take(90).collect();
        return picture.text((LEFT + 6.0, baseline), SMALL, Anchor::Start, &short);
    };
    let colour = System::ALL.iter().position(|system| system.name() == cell.system).map_or(INK, |at| COLOURS[at]);
    picture.bar((LEFT, y), (overload * scale, BAR), colour, 0.35);
    picture.bar((LEFT, y), (lossless * scale, BAR), colour, 1.0);
    let end = LEFT + lossless.max(overload) * scale + 6.0;
    let told = format!("{} / {}", thousands(lossless), thousands(overload));
    picture.text((end, baseline), SMALL, Anchor::Start, &told);
}
