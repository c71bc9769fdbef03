"""Schedulers that place a campaign's blocks on other machines. Each block is run there by a
launcher, as on this one; what is here only submits, follows and cancels."""

NOT_PLUGINS = frozenset(
    {"kubernetes_job", "kubernetes_state", "protocol", "slurm_energy", "slurm_script"}
)
