/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: link labels. The input is an alias that somebody gave to a link, and the network and pod
 * of a label of ours. What is taken for a label says the same after it was written and read again, and
 * whatever a pod is called, DEL finds its link by owner and network.
 */
#include "tests/fuzz/fuzz.h"

#include <string.h>

#include "lib/mem.h"
#include "lib/owned.h"
#include "lib/text.h"

static bool same(const struct owned_label *a, const struct owned_label *b)
{
	return hash_equal(&a->owner, &b->owner) && strcmp(a->network, b->network) == 0 &&
	       strcmp(a->ifname, b->ifname) == 0 && strcmp(a->container, b->container) == 0 &&
	       strcmp(a->pod, b->pod) == 0;
}

static void check_words(const struct owned_label *l)
{
	const char *const words[] = {l->network, l->ifname, l->container, l->pod};
	for (size_t i = 0; i < 4; i++)
		CHECK(!strchr(words[i], ' '));
}

static void try_alias(const char *text)
{
	struct owned_label l, again;
	char alias[NET_ALIAS];
	if (!owned_label_parse(text, &l))
		return;
	check_words(&l);
	owned_label_format(&l, alias);
	CHECK(owned_label_parse(alias, &again));
	CHECK(hash_equal(&l.owner, &again.owner));
	/* What was cleaned or cut once stays as it is. */
	owned_label_format(&again, alias);
	CHECK(owned_label_parse(alias, &l));
	CHECK(same(&l, &again));
}

static void try_pod(const char *text)
{
	struct owned_label l = {.network = "roostnet", .ifname = "eth0"};
	struct owned_label back;
	char alias[NET_ALIAS];
	l.owner = hash_of(text, strlen(text));
	(void)text_copy(l.container, sizeof(l.container), text);
	(void)text_copy(l.pod, sizeof(l.pod), text);
	owned_label_format(&l, alias);
	CHECK(strlen(alias) < NET_ALIAS);
	CHECK(owned_label_parse(alias, &back));
	CHECK(hash_equal(&l.owner, &back.owner));
	CHECK(strcmp(back.network, l.network) == 0 && strcmp(back.ifname, l.ifname) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP_FREE char *text = mem_new(size + 1, 1);
	if (size)
		memcpy(text, data, size);
	try_pod(text);
	char alias[NET_ALIAS]; /* the kernel's bound */
	(void)text_copy(alias, sizeof(alias), text);
	try_alias(alias);
	return 0;
}
