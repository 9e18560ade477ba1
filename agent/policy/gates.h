/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Which namespaces are closed to new pods, kept over a reboot: the node state does not outlive one, and pods may
 * start before the agent has heard anything. A file in the data folder, policy.json.
 */
#include <stddef.h>

#include "ipam/node_policy.h"
#include "lib/err.h"

/* As text, the caller's. */
char *gates_text(const struct node_closed *closed, size_t n);

/* -EBADMSG. *out is heap, sorted as it was written. */
int gates_parse(const char *text, struct node_closed **out, size_t *n, struct err *e);

/* The file. load: -ENOENT, -EBADMSG. */
int gates_save(const char *data_dir, const char *text, struct err *e);
int gates_load(const char *data_dir, char **text, struct err *e);
