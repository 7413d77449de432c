//! The template in `cfn-out/` matches `queues/*.json`, so what is reviewed is what is deployed.

use synth::{SynthProps, TemplateFile, synthesize, workspace};

#[test]
fn the_committed_template_is_up_to_date() {
    let props = SynthProps { file: TemplateFile::Check(workspace::template()), ..SynthProps::default() };
    if let Err(error) = synthesize(&props) {
        panic!("{error}: run `cargo run -p synth`");
    }
}
