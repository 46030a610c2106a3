"""A peer of the local server: a Hugging Face text-classification pipeline behind FastAPI, as its tutorials have it.

    python fastapi_pipeline.py MODEL_FOLDER PORT MAX_LENGTH LABELS

The head is random: the answers mean nothing, what they cost is that of a trained one. Prints `ready` once it listens.
"""

import sys

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel
from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline

folder, port, max_length, labels = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
classify = pipeline(
    "text-classification",
    model=AutoModelForSequenceClassification.from_pretrained(folder, num_labels=labels).eval(),
    tokenizer=AutoTokenizer.from_pretrained(folder),
    top_k=None,
)


class Text(BaseModel):
    text: str


def predict(asked: Text):
    return classify(asked.text, truncation=True, max_length=max_length)


app = FastAPI()
app.post("/predict")(predict)

if __name__ == "__main__":
    predict(Text(text="warm up"))
    config = uvicorn.Config(app, host="127.0.0.1", port=port, log_level="error", access_log=False)
    print("ready", flush=True)
    uvicorn.Server(config).run()
