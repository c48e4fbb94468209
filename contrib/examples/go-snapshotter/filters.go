// containerd's filter language, as far as snapshots need it: `kind==active,labels."a.b"~=x`; filters are alternatives.

package main

import (
	"regexp"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

var condition = regexp.MustCompile(`^(name|parent|kind|labels\.(?:"[^"]*"|[\w./-]+))(?:(==|!=|~=)("[^"]*"|[^",]+))?(?:,|$)`)

type wanted func(name string, row *row) bool

// readFilters refuses what it cannot read now, though there be nothing to ask.
func readFilters(filters []string) (wanted, error) {
	var alternatives [][]wanted
	for _, text := range filters {
		var all []wanted
		for rest := text; rest != ""; {
			found := condition.FindStringSubmatch(rest)
			if found == nil {
				return nil, status.Errorf(codes.InvalidArgument, "filter %q at %q: invalid argument", text, rest)
			}
			one, err := readCondition(found[1], found[2], strings.Trim(found[3], `"`))
			if err != nil {
				return nil, err
			}
			all = append(all, one)
			rest = rest[len(found[0]):]
		}
		alternatives = append(alternatives, all)
	}
	return func(name string, row *row) bool {
		for _, all := range alternatives {
			if holdsAll(all, name, row) {
				return true
			}
		}
		return len(alternatives) == 0
	}, nil
}

func holdsAll(all []wanted, name string, row *row) bool {
	for _, holds := range all {
		if !holds(name, row) {
			return false
		}
	}
	return true
}

func readCondition(field, operator, value string) (wanted, error) {
	var pattern *regexp.Regexp
	if operator == "~=" {
		var err error
		if pattern, err = regexp.Compile(value); err != nil {
			return nil, status.Errorf(codes.InvalidArgument, "filter: %v: invalid argument", err)
		}
	}
	return func(name string, row *row) bool {
		seen, present := fieldOf(field, name, row)
		switch operator {
		case "":
			return present && seen != ""
		case "~=":
			return present && pattern.MatchString(seen)
		case "==":
			return present && seen == value
		default:
			return !present || seen != value
		}
	}, nil
}

func fieldOf(field, name string, row *row) (string, bool) {
	switch field {
	case "name":
		return name, true
	case "parent":
		return row.Parent, true
	case "kind":
		return strings.ToLower(row.Kind.String()), true
	}
	value, present := row.Labels[strings.Trim(strings.TrimPrefix(field, "labels."), `"`)]
	return value, present
}
