"""The whole preparation: settings and inputs become a plan, its parts become shards, the folder is finished and looked
at."""
