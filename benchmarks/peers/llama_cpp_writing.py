"""llama.cpp's side of `four_bit_writing`: milliseconds a token of a GGUF file, by the wheel xllamacpp.

    python -m venv peer && peer/bin/pip install xllamacpp
    peer/bin/python benchmarks/peers/llama_cpp_writing.py FILE.gguf [--length 64] [--new 64] [--rounds 5] [--threads 1]

A prompt of --length tokens is answered greedily with --new tokens, which no end token ends; the time is llama.cpp's own
(`timings.predicted_per_token_ms`), the least of the rounds. It divides by all tokens, the first among them, which the
other side takes off: up to 1.6 % in llama.cpp's favour.
"""

import argparse
import json

import xllamacpp


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file")
    parser.add_argument("--length", type=int, default=64)
    parser.add_argument("--new", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    params = xllamacpp.CommonParams()
    params.model.path = args.file
    params.n_ctx, params.n_parallel, params.warmup = args.length + args.new + 16, 1, True
    for threads in (params.cpuparams, params.cpuparams_batch):
        threads.n_threads = args.threads
    server = xllamacpp.Server(params)
    told = {"prompt": list(range(100, 100 + args.length)), "n_predict": args.new, "temperature": 0, "ignore_eos": True}
    each = []
    for _ in range(args.rounds):
        answer = server.handle_completions({**told, "cache_prompt": False})
        answer = json.loads(answer) if isinstance(answer, str) else answer
        each.append(answer["timings"]["predicted_per_token_ms"])
    print(json.dumps({"ms_a_token": min(each), "threads": args.threads}))


if __name__ == "__main__":
    main()
