/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The host ports of owners as records of one transaction: what shall be led to a pod (lib/hostport.h), kept
 * as long as the pod has an address.
 */
#include <stddef.h>

#include "ipam/db.h"
#include "lib/err.h"
#include "lib/hash.h"
#include "lib/ports.h"

/* The owner has these and no others; n 0: none. */
int index_ports_put(
	struct db *db, const struct hash *owner, const struct port *ports, size_t n, struct err *e);
int index_ports_del(struct db *db, const struct hash *owner, struct err *e);

/* How many; *out is a heap array, the caller's, NULL without any. */
int index_ports_get(struct db *db, const struct hash *owner, struct port **out, struct err *e);

/* Adds everybody's to a list. */
int index_ports_list(struct db *db, struct ports_list *out, struct err *e);
