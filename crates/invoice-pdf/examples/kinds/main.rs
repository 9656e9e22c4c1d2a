//! Writes one PDF of each kind of document into a folder, to look at and to check with validators.
//!
//! `cargo run -p porttask-invoice-pdf --example kinds FOLDER`

mod documents;

use std::{env, fs, path::PathBuf, time::Instant};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = PathBuf::from(env::args().nth(1).ok_or("give the folder to write to")?);
    fs::create_dir_all(&folder)?;
    for (name, document) in documents::all() {
        let start = Instant::now();
        let rendered = porttask_invoice_pdf::render(&document).map_err(|error| format!("{name}: {error}"))?;
        let form = if rendered.xml.is_some() { "with XML" } else { "without XML" };
        println!("{name}: {} KiB {form} in {} ms", rendered.pdf.len() / 1024, start.elapsed().as_millis());
        fs::write(folder.join(format!("{name}.pdf")), &rendered.pdf)?;
        if let Some(xml) = rendered.xml {
            fs::write(folder.join(format!("{name}.xml")), xml)?;
        }
    }
    Ok(())
}
