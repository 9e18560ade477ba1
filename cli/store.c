/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening the cluster store for a command. A person waits for the answer, so a request gets more
 * time than an agent would give it: with three etcd members of which two are silent the third one
 * is still asked. An error says which store was meant, since it may have come from a file that the
 * person does not think of.
 */
#include "cli/store.h"

#include "cli/config.h"

#define REQUEST_MS 4000

int store_from_options(const struct options *o, struct store **out, struct err *e)
{
	CLEANUP_CONFIG struct config c = {0};
	int r = config_read(o, &c, e);
	if (r < 0)
		return r;
	c.store.timeout_ms = REQUEST_MS;
	r = store_open(out, &c.store, e);
	if (r < 0)
		err_details(e, "the store is %.300s (--store, ROOST_STORE, or \"store\" in %.100s)",
			c.store.url, o->config ? o->config : CONFIG_FILE);
	return r;
}
