#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| hubpass_fuzz::token_answer::check(data));
