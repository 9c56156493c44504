"""Files beside an annotated recording, with what the network said of its frames; `choices.SIDECARS` names them.

`sidecar` says what a member must do, and each member is a file of its own. `opened` writes those of one recording.
"""
