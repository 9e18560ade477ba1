/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The JSON documents of the ipam commands, made of plain values: what docs/ROOSTCTL.md promises
 * to programs is written here and nowhere else. Documents are the caller's.
 */
#include <jansson.h>

#include "cli/audit.h"
#include "ipam/node.h"

json_t *ipam_json_pools(const struct node_view *v);	 /* ipam show */
json_t *ipam_json_entries(const struct node_view *v);	 /* ipam list */
json_t *ipam_json_entry(const struct node_entry *n);	 /* one of them */
json_t *ipam_json_map(const struct node_view *v);	 /* ipam map */
json_t *ipam_json_audit(const struct audit *a, bool ok); /* ipam check */
