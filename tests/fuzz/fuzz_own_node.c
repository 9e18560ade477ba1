/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: a v1 Node, and a Lease, as anybody may have written them. What is read of them has bounds,
 * and each change that follows is a document that can be written.
 */
#include "tests/fuzz/fuzz.h"

#include "agent/kube/election.h"
#include "agent/kube/own_node.h"
#include "lib/json.h"

static void check_written(json_t *doc)
{
	char *text = doc ? json_text(doc) : NULL;
	CHECK(!doc || text);
	free(text);
	json_decref(doc);
}

static void try_node(const json_t *doc)
{
	struct own_node n;
	own_node_read(doc, &n);
	CHECK(n.n_addrs <= OWN_NODE_ADDRS);
	CHECK(json_object_size(n.labels) <= 192);
	check_written(own_node_condition(&n, OWN_NODE_READY, "", 0));
	check_written(own_node_condition(&n, OWN_NODE_BROKEN, "BIRD is down", 0));
	check_written(own_node_untaint(&n));
	own_node_done(&n);
}

static void try_lease(const json_t *doc)
{
	struct election l;
	election_init(&l, "roost-controller", "a");
	(void)election_next(&l, 1);
	election_answer(&l, 200, doc, 1);
	CHECK(!election_is_won(&l, 1)); /* nobody wins by looking */
	check_written(election_object(&l, 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP_JSON json_t *doc = NULL;
	struct err e;
	if (json_parse((const char *)data, size, &doc, &e) < 0)
		return 0;
	try_node(doc);
	try_lease(doc);
	return 0;
}
