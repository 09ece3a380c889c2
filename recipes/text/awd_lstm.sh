#!/usr/bin/env bash
# a small AWD-LSTM on your own text: give --source FILE
arch=awd_lstm_small finetune=no cache=yes
dynamic=""
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../common.sh"
