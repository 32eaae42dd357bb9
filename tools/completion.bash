# Completion of moegps in bash, and in zsh with bashcompinit; install it as
# share/bash-completion/completions/moegps. The program says what there is.

# _moegps_names KIND: of models, clusters, predictors, ...
_moegps_names() {
    moegps list "$1" 2> /dev/null | sed -n 's/^\([^ ][^ ]*\) .*/\1/p'
}

_moegps() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} words=() names='' i
    # Readline takes --model=x apart.
    [ "$word" != = ] || word=''
    [ "$before" != = ] || before=${COMP_WORDS[COMP_CWORD - 2]}
    for ((i = 1; i < COMP_CWORD; i++)); do
        [[ ${COMP_WORDS[i]} =~ ^[a-z]+$ ]] || break
        words+=("${COMP_WORDS[i]}")
        [ "${words[0]}" = trace ] || break
    done
    case $before in
    --model | --models) names=$(_moegps_names models) ;;
    --cluster | --clusters) names=$(_moegps_names clusters) ;;
    --predictor | --predictors) names=$(_moegps_names predictors) ;;
    --planner) names=$(_moegps_names planners) ;;
    --split) names=$(_moegps_names splits) ;;
    --trace | -t) names=$(_moegps_names traces) ;;
    list) names=$(moegps list --help | sed -n 's/^  \([a-z]*\) .*/\1/p') ;;
    *)
        if [[ $word == -* ]]; then
            names=$(moegps "${words[@]}" --help 2> /dev/null | grep -oE '^ +(-., )?--[a-z-]+=?' | grep -oE -- '--[a-z-]+=?')
        elif [ "${#words[@]}" -eq 0 ] || [ "${words[*]}" = trace ]; then
            names=$(moegps "${words[@]}" --help 2> /dev/null | sed -n 's/^  \([a-z]*\) .*/\1/p')
        fi
        ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "$names" -- "$word")
    [[ ${COMPREPLY[0]} != *= ]] || compopt -o nospace 2> /dev/null
}
complete -o default -F _moegps moegps
