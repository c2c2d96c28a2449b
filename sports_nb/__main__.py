from sports_nb.cli import main

main()
