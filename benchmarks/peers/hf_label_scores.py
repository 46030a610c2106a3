"""Log-likelihoods of label texts behind prompts, by transformers, in float32.

python hf_label_scores.py --model FILE.gguf --prompts FILE.json [--threads N]

FILE.json has `prompts`, strings, and `labels`, strings with the space before them. Prompt and label text are tokenized
apart and joined. Prints JSON: `scores`, for each prompt the sum of log-probabilities of each label's tokens; `seconds`
of processor time.
"""

import argparse
import copy
import json
import os
import time
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, type=Path)
    parser.add_argument("--prompts", required=True, type=Path)
    parser.add_argument("--threads", type=int)
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    asked = json.loads(args.prompts.read_text(encoding="utf-8"))
    where = {"pretrained_model_name_or_path": str(args.model.parent), "gguf_file": args.model.name}
    tokenizer = AutoTokenizer.from_pretrained(**where)
    model = AutoModelForCausalLM.from_pretrained(**where, dtype=torch.float32).eval()
    start = time.process_time()
    prompts = [tokenizer(prompt, add_special_tokens=False).input_ids for prompt in asked["prompts"]]
    labels = [tokenizer(label, add_special_tokens=False).input_ids for label in asked["labels"]]
    scores = scored(model, prompts, labels)
    print(json.dumps({"scores": scores, "seconds": time.process_time() - start}))


@torch.no_grad()
def scored(model, prompts, labels):
    """What all prompts begin with (examples) is read once, and each prompt once for all labels."""
    shared = min(len(os.path.commonprefix(prompts)), min(map(len, prompts)) - 1) if len(prompts) > 1 else 0
    kept = model(torch.tensor([prompts[0][:shared]]), use_cache=True).past_key_values if shared else None
    scores = []
    for prompt in prompts:
        read = model(torch.tensor([prompt[shared:]]), past_key_values=copy.deepcopy(kept), use_cache=True)
        scores.append([score(model, read, label) for label in labels])
    return scores


def score(model, read, label):
    logits = read.logits[0, -1:]
    if len(label) > 1:
        past = copy.deepcopy(read.past_key_values)
        logits = torch.cat([logits, model(torch.tensor([label[:-1]]), past_key_values=past).logits[0]])
    return float(torch.log_softmax(logits, -1)[range(len(label)), label].sum())


if __name__ == "__main__":
    main()
