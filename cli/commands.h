/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The commands. Each gets the parsed command line, prints its answer on stdout and returns the exit
 * status: 0 fine, 1 the thing asked about is wrong or could not be done (said on stderr), 2 wrong
 * usage that the table of roostctl.c cannot see.
 */
#include "cli/options.h"

int apply_files(const struct options *o);
int diff_files(const struct options *o);
int get_resources(const struct options *o);
int delete_resources(const struct options *o);

/* In cli/nodes.c; node_ is the prefix of ipam/node.h. */
int nodes_list(const struct options *o);
int nodes_show(const struct options *o);
int nodes_drain(const struct options *o);
int nodes_undrain(const struct options *o);
int nodes_remove(const struct options *o);

int agent_status(const struct options *o);
int node_install(const struct options *o); /* in cli/node_install.c */
int node_purge(const struct options *o);   /* in cli/node_purge.c */
int agent_accept_store(const struct options *o);

int ipam_show(const struct options *o);
int ipam_show_cluster(const struct options *o); /* ipam show --cluster */
int ipam_list(const struct options *o);
int ipam_map(const struct options *o);
int ipam_check(const struct options *o);
int ipam_release(const struct options *o);

/* In cli/policy/. */
int policy_denied(const struct options *o);
int policy_explain(const struct options *o);
int policy_list(const struct options *o);
int policy_show(const struct options *o);
int policy_test(const struct options *o);

int probe_run(const struct options *o); /* probe; in cli/probe/probe.c */
int conformance(const struct options *o);
