#!/usr/bin/env bash
# A small AWD-LSTM on a text of yours: give --source FILE
# source: ours
corpus=text name=awd_lstm arch=awd_lstm_small
finetune=no cache=yes
dynamic=""
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../common.sh"
