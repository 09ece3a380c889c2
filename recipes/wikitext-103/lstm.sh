#!/usr/bin/env bash
# LSTM 3 x 1024 on WikiText-103
# source: OpenSeq2Seq, lstm-wkt103-mixed
# published: test 48.6
corpus=wikitext103 name=lstm arch=lstm_wt103
finetune=no cache=yes
dynamic=""
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../common.sh"
