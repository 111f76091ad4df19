// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package issuers

import (
	"context"
	"errors"
	"fmt"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"cel.dev/cel-go/ext"
)

const (
	// maxCost and checkEvery bound what evaluating an expression may take, as Kubernetes does.
	maxCost    = 10_000_000
	checkEvery = 100
	// maxExpressionBytes bounds what is compiled.
	maxExpressionBytes = 10 << 10

	varClaims = "claims"
	varUser   = "user"
)

// environment is what expressions know: `claims`, a map, or `user`, with the fields username, uid, groups and extra. They
// have CEL's own functions and its extensions for strings, lists and sets; Kubernetes' own functions they have not.
type environment struct{ claims, user *variable }

// variable is an environment with one variable.
type variable struct {
	name string
	env  *cel.Env
}

func newEnvironment() (*environment, error) {
	base, err := cel.NewEnv(cel.OptionalTypes(), ext.Strings(), ext.Lists(), ext.Sets(), cel.CrossTypeNumericComparisons(true), cel.DefaultUTCTimeZone(true))
	if err != nil {
		return nil, fmt.Errorf("environment of expressions: %w", err)
	}
	texts := cel.ListType(cel.StringType)
	out := &environment{}
	for _, v := range []struct {
		into *(*variable)
		name string
		as   []cel.EnvOption
	}{
		{&out.claims, varClaims, []cel.EnvOption{cel.Variable(varClaims, cel.MapType(cel.StringType, cel.DynType))}},
		{&out.user, varUser, []cel.EnvOption{
			cel.Variable(varUser+".username", cel.StringType), cel.Variable(varUser+".uid", cel.StringType),
			cel.Variable(varUser+".groups", texts), cel.Variable(varUser+".extra", cel.MapType(cel.StringType, texts)),
		}},
	} {
		env, err := base.Extend(v.as...)
		if err != nil {
			return nil, fmt.Errorf("environment of expressions: %w", err)
		}
		*v.into = &variable{v.name, env}
	}
	return out, nil
}

// expression is one that is compiled.
type expression struct{ program cel.Program }

// compile compiles an expression, which must tell true or false where truth is wanted.
func (v *variable) compile(text string, truth bool) (*expression, error) {
	if len(text) > maxExpressionBytes {
		return nil, fmt.Errorf("it has %d bytes; %d are the most", len(text), maxExpressionBytes)
	}
	ast, issues := v.env.Compile(text)
	if err := issues.Err(); err != nil {
		return nil, fmt.Errorf("it cannot be compiled: %w", err)
	}
	if truth && !ast.OutputType().IsExactType(cel.BoolType) && !ast.OutputType().IsExactType(cel.DynType) {
		return nil, fmt.Errorf("it must evaluate to bool, and does to %s", ast.OutputType())
	}
	program, err := v.env.Program(ast, cel.CostLimit(maxCost), cel.InterruptCheckFrequency(checkEvery), cel.EvalOptions(cel.OptOptimize))
	if err != nil {
		return nil, fmt.Errorf("it cannot be made a program: %w", err)
	}
	return &expression{program}, nil
}

func (e *expression) eval(ctx context.Context, of map[string]any) (ref.Val, error) {
	out, _, err := e.program.ContextEval(ctx, of)
	if err != nil {
		return nil, err //nolint:wrapcheck // the caller names the expression
	}
	if optional, ok := out.(*types.Optional); ok {
		if !optional.HasValue() {
			return types.NullValue, nil
		}
		return optional.GetValue(), nil
	}
	return out, nil
}

var errNotText = errors.New("it gives something other than text")

// text evaluates to a string. Null is none.
func (e *expression) text(ctx context.Context, of map[string]any) (string, error) {
	out, err := e.eval(ctx, of)
	if err != nil {
		return "", err
	}
	switch out := out.(type) {
	case types.String:
		return string(out), nil
	case types.Null:
		return "", nil
	}
	return "", errNotText
}

// texts evaluates to strings: of one, or of a list of them. Null and empty text are none.
func (e *expression) texts(ctx context.Context, of map[string]any) ([]string, error) {
	out, err := e.eval(ctx, of)
	if err != nil {
		return nil, err
	}
	switch out := out.(type) {
	case types.Null:
		return nil, nil
	case types.String:
		if out == "" {
			return nil, nil
		}
		return []string{string(out)}, nil
	case traits.Lister:
		var texts []string
		for it := out.Iterator(); it.HasNext() == types.True; {
			text, ok := it.Next().(types.String)
			if !ok {
				return nil, errNotText
			}
			if text != "" {
				texts = append(texts, string(text))
			}
		}
		return texts, nil
	}
	return nil, errNotText
}

// holds evaluates to true.
func (e *expression) holds(ctx context.Context, of map[string]any) (bool, error) {
	out, err := e.eval(ctx, of)
	if err != nil {
		return false, err
	}
	return out == types.True, nil
}
