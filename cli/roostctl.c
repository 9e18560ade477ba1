/* SPDX-License-Identifier: Apache-2.0 */
/*
 * roostctl, the operator's tool. A command is a noun and a verb, `ipam show`, or one word, `apply`:
 * one row of the table below says what it is called, what it takes, what it does and which function
 * does it; help, the check of options and operands, and the dispatch all come from that row. To add
 * a command: a row here, a function in cli/commands.h, a file of its own.
 *
 * Exit status: 0 fine, 1 the thing asked about is wrong or cannot be had, 2 wrong usage. Answers go
 * to stdout, everything else to stderr. The environment is read here and nowhere else.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/output.h"
#include "lib/nearest.h"
#include "lib/text.h"

#define ANY_NUMBER 65536

static const struct command {
	const char *noun, *verb; /* verb NULL: the command is one word */
	const char *operands;	 /* for the usage line */
	size_t min_operands, max_operands;
	unsigned int options; /* besides the global ones */
	int (*run)(const struct options *o);
	const char *summary;
	const char *help;
} commands[] = {
	{"apply", NULL, "-f FILE", 0, 0, OPTION_FILENAME | OPTION_TIMEOUT, apply_files,
		"create and change resources as files say",
		"Reads all files and judges every document before anything is changed; a bad one\n"
		"refuses everything, with its file and line. What a file does not say about a "
		"resource\n"
		"becomes its default; of a Node only what people own is touched "
		"(docs/resources/)."},
	{"diff", NULL, "-f FILE", 0, 0, OPTION_FILENAME | OPTION_SHOW_SECRETS | OPTION_TIMEOUT,
		diff_files, "what apply would change",
		"Shows it line by line. Exit 1 when there is something."},
	{"get", NULL, "KIND [NAME...]", 1, ANY_NUMBER,
		OPTION_YAML | OPTION_SHOW_SECRETS | OPTION_TIMEOUT, get_resources, "show resources",
		"KIND is ippool, node, bgpconfiguration, bgppeer, bgpfilter, ipreservation,\n"
		"ipamconfiguration (also their plurals), or all. With -o yaml and -o json: whole\n"
		"documents, which can be applied again: a password that is not shown stays as it "
		"is."},
	{"delete", NULL, "KIND NAME...", 0, ANY_NUMBER, OPTION_FILENAME | OPTION_TIMEOUT,
		delete_resources, "delete resources",
		"By name, or those that files name (-f). A pool of which blocks are in use is "
		"refused."},
	{"node", "list", "", 0, 0, OPTION_TIMEOUT, nodes_list,
		"the nodes of the cluster and how they are",
		"Lists every node: its addresses, its agent, its blocks."},
	{"node", "show", "NAME", 1, 1, OPTION_TIMEOUT, nodes_show, "all about one node",
		"Shows the node's document, what its agent last said, and its blocks."},
	{"node", "drain", "NAME", 1, 1, OPTION_TIMEOUT, nodes_drain,
		"no new pods, and give back what is empty",
		"Sets spec.drain of the node: it takes no new pods and gives back its blocks as "
		"they\n"
		"become empty. Pods that are there stay."},
	{"node", "undrain", "NAME", 1, 1, OPTION_TIMEOUT, nodes_undrain, "take new pods again",
		"Clears spec.drain of the node."},
	{"node", "remove", "NAME", 1, 1, OPTION_FORCE | OPTION_POWERED_OFF | OPTION_TIMEOUT,
		nodes_remove, "forget a node that is gone",
		"Removes the node and frees its blocks. A live node is refused, and so is one that "
		"still has\n"
		"blocks: with --force these are quarantined until the node confirms that it no "
		"longer\n"
		"uses them; with --force --powered-off you say that it never comes back, and they "
		"are\n"
		"free at once."},
	{"store", "accept", "", 0, 0, OPTION_TIMEOUT, agent_accept_store,
		"use a store that lost documents as it is",
		"Tells the agent of this machine that the cluster store is right as it is. An "
		"agent\n"
		"whose store came back without documents that it had leaves pods and routes alone "
		"and\n"
		"waits for them; after this it follows the store, whatever that takes away."},
	{"node", "install", "FROM TO", 2, 2, 0, node_install,
		"put executables into the runtime's folder",
		"Copies every file of the folder FROM into the folder TO, each by a rename, so "
		"that a\n"
		"runtime finds the old one or the new one. What is the same already stays."},
	{"node", "purge", "", 0, 0, OPTION_DRY_RUN | OPTION_PODS | OPTION_STAY | OPTION_ROOT,
		node_purge, "remove everything of roost from this machine",
		"Removes the runtime's network configuration, the CNI executables, links, routes, "
		"rules,\n"
		"nf_tables tables and tunnels of roost and of its BIRD, /run/roost and "
		"/var/lib/roost, and\n"
		"names what it leaves. Refuses while roostd, its BIRD or a pod of roost runs here. "
		"Doing\n"
		"it twice is fine."},
	{"status", NULL, "", 0, 0, OPTION_READY | OPTION_LIVE | OPTION_TIMEOUT, agent_status,
		"how the agent of this machine is",
		"Asks the agent over its socket. Exit 1 when there is a problem or no answer.\n"
		"With --live: 1 only when there is no answer. With --ready: 1 unless this node is "
		"served,\n"
		"which means that the store has been read once, BIRD runs with the present "
		"configuration,\n"
		"the node has a block, and the runtime's network configuration is in place."},
	{"ipam", "show", "", 0, 0, OPTION_IP | OPTION_CLUSTER | OPTION_TIMEOUT, ipam_show,
		"pools and their blocks in numbers; one address",
		"Shows the pools this node knows and the blocks it owns: how many addresses are "
		"used,\n"
		"cooling down after their release, reserved for gateways, quarantined, and free.\n"
		"With --ip: who has that address, and since when. Exit 1 when it is in no block "
		"here.\n"
		"With --cluster: pools and blocks of all nodes, as the agents last said."},
	{"ipam", "list", "", 0, 0, OPTION_WIDE, ipam_list, "every address that is not simply free",
		"Lists every address that is used, cooling down, reserved or quarantined, with its "
		"pod.\n"
		"For a cooling address that is the pod it had last."},
	{"ipam", "map", "", 0, 0, OPTION_COLOR, ipam_map,
		"a picture of the blocks, a cell an address",
		"Draws each block of this node with a cell for each address, 64 to a row."},
	{"ipam", "check", "", 0, 0, OPTION_REPAIR, ipam_check,
		"is the node state what the kernel shows?",
		"Compares the node state with links, routes and addresses of this network "
		"namespace:\n"
		"  leaked   an address is recorded for a pod whose host link is gone\n"
		"  missing  a link without record, a pod without route, a block without blackhole "
		"route\n"
		"  foreign  something in our place that is not ours\n"
		"Exit 1 when something is wrong (with --repair: is still wrong)."},
	{"ipam", "release", "[ADDRESS...]", 0, ANY_NUMBER, OPTION_FORCE | OPTION_IDLE_BLOCKS,
		ipam_release, "free addresses by hand, give up idle blocks",
		"Frees addresses: quarantined ones, leaked ones, those of other plugins. An "
		"address whose\n"
		"pod has its host link is refused, unless --force cuts that pod off.\n"
		"With --idle-blocks instead of addresses: gives up the blocks in which nothing is "
		"used,\n"
		"with their blackhole routes, and after the last one the nf_tables table."},
	{"policy", "denied", "", 0, 0, OPTION_FOLLOW | OPTION_STAGED | OPTION_TIMEOUT,
		policy_denied, "packets that were denied on this node lately",
		"Lists what network policies denied on this node, as its agent remembers it: from "
		"whom\n"
		"to whom, by which policy, how many packets and when the last one came. Alike ones "
		"are one.\n"
		"Numbers are lower bounds: the kernel tells of a few packets a second for each "
		"rule.\n"
		"With --staged: connections of this node that staged policies would deny."},
	{"policy", "explain", "POD PEER PORT[/PROTOCOL]", 3, 3,
		OPTION_FILENAME | OPTION_STAGED | OPTION_TIMEOUT, policy_explain,
		"whether a pod may reach a peer, and why",
		"Judges a connection by the network policies of the cluster, or of files (-f): "
		"what "
		"the pod\n"
		"may send, then what the peer may receive, policy by policy. Ends are "
		"NAMESPACE/POD, an\n"
		"address, or node (the other end's own). Exit 0 allowed, 1 denied, 2 nobody can "
		"tell."},
	{"policy", "list", "", 0, 0, OPTION_FILENAME | OPTION_TIMEOUT, policy_list,
		"the network policies in the order of judgement",
		"Lists policies of all kinds, with how many pods each selects, and where an agent\n"
		"runs, what this node counted for each."},
	{"policy", "show", "[NAMESPACE/]NAME", 1, 1, OPTION_FILENAME | OPTION_TIMEOUT, policy_show,
		"all about the network policies of a name",
		"Shows whom a policy selects, its rules in words, its problems, what this node "
		"counted\n"
		"for it, and the pods."},
	{"policy", "test", "-f FILE", 0, 0, OPTION_FILENAME | OPTION_STAGED, policy_test,
		"whether manifests mean what was expected of them",
		"Files hold policies, namespaces, pods or workloads, and cases (kind PolicyTest, "
		"docs/POLICY-TESTING.md).\n"
		"No cluster is asked. Exit 0 as expected, 1 some case is not, 2 the files cannot "
		"be judged."},
	{"probe", NULL, "", 0, 0, OPTION_LIFETIME, probe_run,
		"runs tests on this node (used by conformance)",
		"Started by roostctl conformance on every node; speaks lines of JSON over stdin "
		"and\n"
		"stdout (docs/PROBE.md). Makes pods through the installed CNI configuration, and "
		"deletes\n"
		"them when its input ends, at SIGTERM, SIGINT and SIGHUP, and when its lifetime is "
		"over."},
	{"conformance", NULL, "[--cluster FILE]", 0, 1,
		OPTION_CLUSTER | OPTION_JUNIT | OPTION_TIMEOUT, conformance,
		"whether the network works, by trying it",
		"Starts pods on every node of the cluster and checks addresses, routes, and that "
		"everybody\n"
		"reaches everybody (docs/CONFORMANCE.md). FILE says how to reach the nodes; "
		"without one: the\n"
		"nodes of the store, by ssh as root. -o text, json or junit. Exit 1 when something "
		"failed."},
};
#define N_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static size_t words_of(const struct command *c)
{
	return c->verb ? 2 : 1;
}

static void name_of(const struct command *c, char out[40])
{
	(void)snprintf(out, 40, "%s%s%s", c->noun, c->verb ? " " : "", c->verb ? c->verb : "");
}

/* Whether the words that are there can be this command's. */
static bool is_of(const struct command *c, const struct options *o)
{
	return (o->n_words < 1 || strcmp(c->noun, o->words[0]) == 0) &&
	       (o->n_words < 2 || !c->verb || strcmp(c->verb, o->words[1]) == 0);
}

/* All commands, or those of one noun. */
static void print_commands(FILE *f, const struct options *o)
{
	(void)fprintf(f, "usage: roostctl [--store URL] [-o text|json|yaml] COMMAND\n\n");
	for (size_t i = 0; i < N_COMMANDS; i++) {
		char name[40];
		name_of(&commands[i], name);
		if (is_of(&commands[i], o))
			(void)fprintf(f, "  %-14s %s\n", name, commands[i].summary);
	}
	(void)fprintf(f, "\n");
	options_print_help(f, OPTIONS_GLOBAL);
	(void)fprintf(f, "\nroostctl help COMMAND says more about one command.\n");
}

static void print_usage(FILE *f, const struct command *c)
{
	char name[40];
	name_of(c, name);
	(void)fprintf(f, "usage: roostctl %s%s%s [OPTION...]\n", name, *c->operands ? " " : "",
		c->operands);
}

static void print_help(const struct command *c)
{
	print_usage(stdout, c);
	(void)printf("\n%s\n\n", c->help);
	options_print_help(stdout, c->options);
	options_print_help(stdout, OPTIONS_GLOBAL);
}

static const struct command *find_command(const struct options *o)
{
	for (size_t i = 0; i < N_COMMANDS; i++)
		if (o->n_words >= words_of(&commands[i]) && is_of(&commands[i], o))
			return &commands[i];
	return NULL;
}

static bool is_noun(const struct options *o)
{
	for (size_t i = 0; i < N_COMMANDS && o->n_words >= 1; i++)
		if (strcmp(commands[i].noun, o->words[0]) == 0)
			return true;
	return false;
}

/* What people type who come from other tools. */
static const char *const foreign_words[][2] = {{"describe", "get -o yaml"}, {"create", "apply"},
	{"edit", "apply"}, {"replace", "apply"}, {"patch", "apply"}, {"version", "--version"},
	{"cordon", "node drain"}, {"uncordon", "node undrain"}, {"nodes", "node list"},
	{"pools", "get ippools"}, {"health", "status"}, {"test", "conformance"}};

static const char *find_foreign(const char *word)
{
	for (size_t i = 0; i < sizeof(foreign_words) / sizeof(foreign_words[0]); i++)
		if (strcmp(foreign_words[i][0], word) == 0)
			return foreign_words[i][1];
	return NULL;
}

/* The command, or the noun, that somebody meant who typed these words. */
static void add_meant(const struct options *o, struct text *t)
{
	bool noun = is_noun(o);
	struct nearest n = NEAREST_TO(o->words[noun ? 1 : 0]);
	char name[40], prefix[40] = "\"";
	const char *foreign = find_foreign(o->words[noun ? 1 : 0]);
	if (foreign) {
		text_add(t, ": did you mean \"%s\"?", foreign);
		return;
	}
	if (noun)
		(void)snprintf(prefix, sizeof(prefix), "\"%s ", o->words[0]);
	for (size_t i = 0; i < N_COMMANDS; i++) {
		const struct command *c = &commands[i];
		if (noun ? strcmp(c->noun, o->words[0]) == 0 : true)
			nearest_offer(&n, noun ? c->verb : c->noun);
		if (noun || !c->verb || strcmp(c->verb, o->words[0]) != 0)
			continue;
		name_of(c, name); /* the verb alone: which noun it belongs to */
		text_add(t, ": did you mean \"%s\"?", name);
		return;
	}
	nearest_ask(&n, prefix, "\"", t);
}

/* No command was found: help when asked for, else what is wrong. */
static int explain_commands(const struct options *o)
{
	struct options all = *o;
	char text[256];
	struct text t = TEXT_ON(text);
	all.n_words = is_noun(o) ? 1 : 0;
	if (o->given & OPTION_HELP && o->n_words <= all.n_words) {
		print_commands(stdout, &all);
		return 0;
	}
	if (o->n_words == 0)
		return output_usage(NULL, "a command is missing");
	if (o->n_words == 1 && all.n_words == 1)
		return output_usage(o->words[0], "a verb is missing behind %s", o->words[0]);
	text_add(&t, "unknown command \"%.60s%s%.60s\"", o->words[0], all.n_words ? " " : "",
		all.n_words ? o->words[1] : "");
	add_meant(o, &t);
	return output_usage(all.n_words ? o->words[0] : NULL, "%s", text);
}

static int check_usage(const struct command *c, const struct options *o)
{
	unsigned int wrong = o->given & ~(c->options | OPTIONS_GLOBAL);
	const char *name = o->command;
	if (wrong & (OPTION_YAML | OPTION_JUNIT))
		return output_usage(name, "%s does not print %s: -o text or -o json", name,
			wrong & OPTION_YAML ? "yaml" : "junit");
	if (wrong)
		return output_usage(name, "--%s is no option of %s", options_name(wrong), name);
	if (o->n_operands > c->max_operands)
		return output_usage(
			name, "%s takes no \"%.60s\"", name, o->operands[c->max_operands]);
	if (o->n_operands < c->min_operands)
		return output_usage(name, "%s needs more: %s", name, c->operands);
	return 0;
}

static void take_variable(const char **value, const char *name)
{
	const char *v = getenv(name);
	if (!*value && v && *v)
		*value = v;
}

/* What the command line leaves open. https://no-color.org: set and not empty. */
static void take_environment(struct options *o)
{
	const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
	take_variable(&o->state_dir, "ROOST_STATE_DIR");
	take_variable(&o->store, "ROOST_STORE");
	take_variable(&o->config, "ROOST_CONFIG");
	take_variable(&o->socket, "ROOST_SOCKET");
	take_variable(&o->kube_host, "KUBERNETES_SERVICE_HOST");
	take_variable(&o->kube_port, "KUBERNETES_SERVICE_PORT");
	bool plain = (no_color && *no_color) || (term && strcmp(term, "dumb") == 0);
	if (plain && o->color == OPTIONS_COLOR_AUTO)
		o->color = OPTIONS_COLOR_NEVER;
}

/* "help WORDS" is "WORDS --help". */
static void take_help(struct options *o)
{
	if (o->n_words == 0 || strcmp(o->words[0], "help") != 0)
		return;
	o->words++;
	o->n_words--;
	o->given |= OPTION_HELP;
}

static int dispatch(struct options *o)
{
	if (o->given & OPTION_VERSION) {
		(void)printf("roostctl %s\n", ROOST_VERSION);
		return 0;
	}
	take_help(o);
	const struct command *c = find_command(o);
	if (!c)
		return explain_commands(o);
	if (o->given & OPTION_HELP) {
		print_help(c);
		return 0;
	}
	take_environment(o);
	name_of(c, o->command);
	o->operands = o->words + words_of(c);
	o->n_operands = o->n_words - words_of(c);
	int usage = check_usage(c, o);
	return usage ? usage : c->run(o);
}

int main(int argc, char **argv)
{
	struct options o;
	struct err e = {0};
	if (options_parse(argc, argv, &o, &e) < 0) {
		const struct command *c = find_command(&o);
		if (c)
			name_of(c, o.command);
		return output_usage(o.command, "%s", e.text);
	}
	int status = dispatch(&o);
	if (fflush(stdout) != 0 || ferror(stdout))
		return output_complain("cannot write the answer to stdout");
	return status;
}
