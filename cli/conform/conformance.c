/* SPDX-License-Identifier: Apache-2.0 */
/*
 * roostctl conformance: whether the network of a cluster works, asked of the network itself
 * (docs/CONFORMANCE.md). This file is the command: the cluster file, what the store knows, the run, the
 * report.
 *
 * The store is a help, not a condition: without it the nodes must be named by a file, and what pools
 * ask for (encapsulation, natOutgoing) is not known, which is one check that is skipped with that
 * reason.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/random.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/config.h"
#include "cli/conform/run.h"
#include "cli/inventory.h"
#include "cli/manifest.h"
#include "cli/output.h"
#include "lib/family.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/text.h"

/* ---- The store ---- */

static void take_pools(struct conform_cluster *c, const struct inventory *v)
{
	c->pools = mem_new(v->n_pools + 1, sizeof(*c->pools));
	for (size_t i = 0; i < v->n_pools; i++) {
		const struct resource_pool *p = &v->pools[i]->pool;
		if (p->balancer)
			continue;
		c->pools[c->n_pools++] = (struct conform_pool){
			.cidr = p->pool.cidr,
			.ipip = p->ipip,
			.vxlan = p->vxlan,
			.nat = p->nat_outgoing,
			.disabled = p->disabled,
			.no_export = p->no_bgp_export,
		};
	}
	c->blocks = mem_new(v->n_blocks + 1, sizeof(*c->blocks));
	for (size_t i = 0; i < v->n_blocks; i++)
		c->blocks[c->n_blocks++] = v->blocks[i].cidr;
}

static void take_nodes(
	struct conform_cluster *c, const struct conform_file *f, const struct inventory *v)
{
	for (size_t i = 0; i < f->n_nodes; i++) {
		const struct inventory_node *n =
			*f->nodes[i].name ? inventory_node(v, f->nodes[i].name) : NULL;
		if (!n)
			continue;
		for (enum family k = IPV4; k < FAMILIES; k++) {
			const struct cidr *a = &n->spec.addr[k];
			if (!a->addr.family)
				continue;
			c->members[i].addr[k] = a->addr;
			c->members[i].subnet[k] = cidr_masked(&a->addr, a->len);
		}
	}
}

/* A check of its own, so that it is known what was not looked at. */
static void note_store(struct conform_run *r, const struct err *why)
{
	struct conform_check *k = conform_checks_add(&r->checks, CONFORM_FACT, "store", 0);
	(void)snprintf(k->what, sizeof(k->what), "store  pools, natOutgoing, addresses of nodes");
	(void)snprintf(k->expected, sizeof(k->expected), "to read them");
	if (r->cluster.has_store)
		conform_check_set(
			k, CONFORM_OK, "%s", COUNT_STRING(r->cluster.n_pools, "pool", "pools"));
	else
		conform_check_set(k, CONFORM_SKIPPED,
			"what pools ask for is not checked, the store cannot be read: %.200s",
			why->text);
}

/* ---- The cluster file ---- */

static int parse_file(const char *path, struct conform_file *out, struct err *e)
{
	CLEANUP_FREE char *bytes = NULL;
	size_t len = 0;
	int r = manifest_read_bytes(path, &bytes, &len, e);
	return r < 0 ? r : conform_file_parse(bytes, len, out, e);
}

/* This machine as a node: by the agent's configuration, else by its name. */
static void find_local(const struct options *o, char out[256])
{
	struct config c;
	struct err ignored;
	*out = '\0';
	(void)gethostname(out, 255);
	if (config_read(o, &c, &ignored) == 0 && *c.conf.node)
		(void)text_copy(out, 256, c.conf.node);
}

static int read_file(const struct options *o, const struct inventory *v, bool has_store,
	struct conform_file *out, struct err *e)
{
	char local[256];
	int r = 0;
	if (o->n_operands) {
		r = parse_file(o->operands[0], out, e);
		if (r < 0)
			err_add(e, "%.200s", o->operands[0]);
		return r;
	}
	if (!has_store) {
		err_add(e, "without --cluster FILE the nodes are those of the store");
		return -ENOENT;
	}
	find_local(o, local);
	return conform_file_from_store(v, local, o, out, e);
}

/* ---- The command ---- */

static void make_cluster(struct conform_run *r, const struct inventory *v, bool has_store)
{
	const struct conform_file *f = r->file;
	struct conform_cluster *c = &r->cluster;
	*c = (struct conform_cluster){
		.n = f->n_nodes + f->has_outside,
		.members = mem_new(f->n_nodes + 1, sizeof(*c->members)),
		.has_outside = f->has_outside,
		.has_store = has_store,
		.families = {f->families[0], f->families[1]},
		.routed = f->routed,
		.seed = f->seed,
	};
	uint32_t random = 0;
	if (!f->has_seed && getrandom(&random, sizeof(random), 0) == (ssize_t)sizeof(random))
		c->seed = random;
	if (!has_store)
		return;
	take_pools(c, v);
	take_nodes(c, f, v);
}

static int conformance_report(const struct conform_run *r)
{
	static void (*const reports[])(
		FILE * f, const struct conform_checks *c, const struct conform_totals *t) = {
		[CONFORM_TEXT] = conform_report_end,
		[CONFORM_JSON] = conform_report_json,
		[CONFORM_JUNIT] = conform_report_junit,
	};
	struct conform_summary s = conform_checks_sum(&r->checks);
	reports[r->format](stdout, &r->checks, &r->facts);
	return s.failed || s.open || r->facts.interrupted ? 1 : 0;
}

int conformance(const struct options *o)
{
	CLEANUP_INVENTORY struct inventory v = {0};
	CLEANUP_CONFORM_FILE struct conform_file file = {0};
	struct err no_store = {0}, e = {0};
	if (o->n_operands && !(o->given & OPTION_CLUSTER))
		return output_usage(o->command, "the cluster file is given with --cluster");
	bool has_store = inventory_from_options(o, &v, &no_store) == 0;
	e = no_store;
	if (read_file(o, &v, has_store, &file, &e) < 0) {
		(void)output_error(&e);
		return o->n_operands ? 2 : 1; /* the file, else the store */
	}
	struct conform_run r = {
		.file = &file,
		.format = o->json    ? CONFORM_JSON
			  : o->junit ? CONFORM_JUNIT
				     : CONFORM_TEXT,
		.probes = CONFORM_PROBES_CLOSED,
	};
	make_cluster(&r, &v, has_store);
	note_store(&r, &no_store);
	int status = 1;
	if (conform_run_execute(&r, &e) < 0)
		(void)output_error(&e);
	else
		status = conformance_report(&r);
	conform_run_done(&r);
	return status;
}
