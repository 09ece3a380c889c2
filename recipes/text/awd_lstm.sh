#!/usr/bin/env bash
# AWD-LSTM on a text of yours: give --source FILE
# source: ours
corpus=text name=awd_lstm arch=awd_lstm_wt2
finetune=yes cache=yes
dynamic=""
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../common.sh"
