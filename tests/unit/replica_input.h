/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Filling a replica from a JSON object as tests write it: "documents" is a list of resources,
 * "blocks" an object of block to node ("b", or "b quarantined", or "?" for a document that cannot
 * be read). The events are those of a complete list.
 */
#include "tests/unit/values.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "agent/replica.h"
#include "cluster/keys.h"
#include "lib/mem.h"
#include "store/store.h"

static inline void replica_feed(
	struct replica *r, int part, enum store_event_kind kind, const char *key, const char *value)
{
	static int64_t revision;
	struct store_event ev = {.kind = kind, .key = key, .value = value, .revision = ++revision};
	(void)replica_take(r, part, &ev);
}

static inline void replica_feed_documents(struct replica *r, const json_t *documents)
{
	size_t i;
	const json_t *doc;
	json_array_foreach (documents, i, doc) {
		enum resource_kind kind;
		char key[STORE_KEY_MAX];
		assert_true(resource_kind_parse(
			json_string_value(json_object_get(doc, "kind")), &kind));
		keys_resource(kind,
			json_string_value(
				json_object_get(json_object_get(doc, "metadata"), "name")),
			key);
		char *text = json_dumps(doc, 0);
		replica_feed(r, REPLICA_RESOURCES, STORE_PUT, key, text);
		free(text);
	}
}

static inline void replica_feed_blocks(struct replica *r, json_t *blocks)
{
	const char *name;
	json_t *value;
	json_object_foreach (blocks, name, value) {
		char key[STORE_KEY_MAX];
		char text[512];
		char node[300];
		struct cidr c;
		(void)snprintf(node, sizeof(node), "%s", json_string_value(value));
		char *state = strchr(node, ' ');
		if (state)
			*state++ = '\0';
		c = cidr(name);
		keys_block(&c, key);
		(void)snprintf(text, sizeof(text), "{\"node\": \"%s\", \"state\": \"%s\"}", node,
			state ? state : "owned");
		replica_feed(r, REPLICA_BLOCKS, STORE_PUT, key, *node == '?' ? "[]" : text);
	}
}

/* "loans": documents by what follows loans/ in their keys. */
static inline void replica_feed_loans(struct replica *r, const json_t *loans)
{
	const char *name;
	json_t *value;
	json_object_foreach ((json_t *)loans, name, value) {
		char key[STORE_KEY_MAX];
		CLEANUP_FREE char *text = json_text(value);
		(void)snprintf(key, sizeof(key), KEYS_LOANS "%s", name);
		replica_feed(r, REPLICA_LOANS, STORE_PUT, key, text);
	}
}

/* All of it: a whole replica. */
static inline void replica_fill(struct replica *r, const char *node, const json_t *input)
{
	replica_init(r, node);
	replica_feed(r, REPLICA_RESOURCES, STORE_RESTART, NULL, NULL);
	replica_feed_documents(r, json_object_get(input, "documents"));
	replica_feed(r, REPLICA_RESOURCES, STORE_CURRENT, NULL, NULL);
	replica_feed(r, REPLICA_BLOCKS, STORE_RESTART, NULL, NULL);
	replica_feed_blocks(r, json_object_get(input, "blocks"));
	replica_feed(r, REPLICA_BLOCKS, STORE_CURRENT, NULL, NULL);
	replica_feed(r, REPLICA_LOANS, STORE_RESTART, NULL, NULL);
	replica_feed_loans(r, json_object_get(input, "loans"));
	replica_feed(r, REPLICA_LOANS, STORE_CURRENT, NULL, NULL);
	assert_true(replica_is_whole(r));
}
