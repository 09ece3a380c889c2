#!/usr/bin/env bash
# AWD-LSTM on text8, in bpc; nobody published this one, the sizes are those for enwik8
# source: ours
corpus=text8 name=awd_lstm arch=awd_lstm_enwik8
finetune=no cache=no
dynamic=""
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../common.sh"
