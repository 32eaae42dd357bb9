#compdef moegps
# Completion of moegps in zsh; install it as share/zsh/site-functions/_moegps,
# beside bash's. The program says what there is.
local -a names words_before
local word
for word in ${words[2,CURRENT-1]}; do
    [[ $word == [a-z]## ]] || break
    words_before+=($word)
    [[ $words_before[1] == trace ]] || break
done
if [[ $PREFIX == --*=* ]]; then
    local option=${PREFIX%%=*} kind=
    compset -P '*='
    case $option in
    --model|--models) kind=models ;;
    --cluster|--clusters) kind=clusters ;;
    --predictor|--predictors) kind=predictors ;;
    --planner) kind=planners ;;
    --split) kind=splits ;;
    --trace) kind=traces ;;
    esac
    [[ -z $kind ]] || names=(${(f)"$(moegps list $kind 2> /dev/null | sed -n 's/^\([^ ][^ ]*\) .*/\1/p')"})
    compadd -a names || _files
elif [[ $PREFIX == -* ]]; then
    names=(${(f)"$(moegps $words_before --help 2> /dev/null | grep -oE '^ +(-., )?--[a-z-]+=?' | grep -oE -- '--[a-z-]+=?')"})
    compadd -S '' -a names
elif (( $#words_before == 0 )) || [[ "$words_before" == trace ]]; then
    names=(${(f)"$(moegps $words_before --help 2> /dev/null | sed -n 's/^  \([a-z]*\) .*/\1/p')"})
    compadd -a names
else
    _files
fi
