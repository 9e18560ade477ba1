/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The settings of roostd that are texts: the check that each passes, wherever it comes from (the
 * file, the environment, the command line), and its defaults.
 */
#include <stddef.h>

#include "cluster/agent_conf.h"
#include "lib/err.h"

/* Checks a text and puts its value into a field of size bytes. -EINVAL. */
typedef int setting_fn(const char *text, void *field, size_t size, struct err *e);

setting_fn setting_node;
setting_fn setting_store;
/* What stands behind "kube:" or "kube-podcidr:"; NULL: another store. */
const char *setting_kubeconfig(const char *url);
setting_fn setting_kubernetes;
setting_fn setting_kubernetes_server;
setting_fn setting_prefix;
setting_fn setting_path;
setting_fn setting_path_or_none;
setting_fn setting_socket;
setting_fn setting_word; /* the name of a user or group, or nothing */
setting_fn setting_detect4;
setting_fn setting_detect6;
setting_fn setting_routes;
setting_fn setting_device;
setting_fn setting_level;
setting_fn setting_enforce;
setting_fn setting_pending;
setting_fn setting_mark; /* one bit of a packet's or a connection's mark */

int setting_add_state_dir(const char *dir, struct agent_conf *out, struct err *e);

/* Every setting as it is when nobody says anything, but for node, store and state_dirs. */
extern const struct agent_conf setting_defaults;
