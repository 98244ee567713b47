#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| hubpass_fuzz::certificate::check(data));
