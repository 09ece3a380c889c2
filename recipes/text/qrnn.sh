#!/usr/bin/env bash
# AWD-QRNN on a text of yours: give --source FILE
# source: ours
corpus=text name=qrnn arch=qrnn_wt2
finetune=yes cache=yes
dynamic=""
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../common.sh"
